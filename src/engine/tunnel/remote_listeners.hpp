// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "engine/relay/dialer.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::connection {
class SessionDriver;
}

namespace culvert::tunnel {

/// Where one connection's server listens for us (RFC 4254 section 7.1, streamlocal-forward@openssh.com). All
/// calls on the thread of the driver's executor.
class RemoteListeners {
 public:
  explicit RemoteListeners(std::shared_ptr<connection::SessionDriver> driver);
  ~RemoteListeners();  ///< as end()
  RemoteListeners(const RemoteListeners&) = delete;
  RemoteListeners& operator=(const RemoteListeners&) = delete;

  /// Asks the server, and waits for its answer. Refusal::prohibited if it says no: it gives no reason, and
  /// the message says where to look for it. Refusal::unsupported if it says yes to port 0 and does not tell
  /// which one it took. The source fails with Errc::closed once the session is over; when
  /// it is stopped, the server is told to stop too. May be cancelled (Asio); what the server grants then is
  /// given back.
  [[nodiscard]] relay::Task<relay::Bound> listen(relay::Endpoint where);

  /// Takes a channel that the server opens for one of them; false if it is for none.
  [[nodiscard]] bool take(const ssh::ChannelRequested& channel);
  /// The answer to a request of listen().
  void answer(const ssh::GlobalReply& reply);
  /// The session is over.
  void end();
  /// The executor has stopped for good: lets no coroutine go on.
  void abandon();

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace culvert::tunnel
