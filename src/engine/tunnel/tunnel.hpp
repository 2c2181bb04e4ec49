// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.hpp"
#include "crypto/random.hpp"
#include "engine/relay/dialer.hpp"
#include "engine/tunnel/prompter.hpp"
#include "engine/tunnel/server_options.hpp"
#include "net/resolver.hpp"

namespace culvert::tunnel {

struct TunnelOptions {
  ServerOptions server;
  bool reconnects = true;        ///< a connection that is lost is made again, until that is refused for good
  bool waits_for_first = false;  ///< the first one too
  Duration stream_patience = std::chrono::seconds(30);  ///< how long a stream waits for a connection
  std::function<void(const std::string&)> on_change;    ///< the line of each change of state, as it is logged
};

/// A connection to an SSH server that comes back: what forwards are given as their dialer, and listen at.
/// Streams end with the connection that carries them; new ones wait for the next. A refused login and a host
/// key that is not the known one are final. Each change of state is one line in the log. All calls on the
/// thread of `executor`.
class Tunnel final : public relay::Dialer, public relay::FarListener {
 public:
  /// `resolver`, `random` and `prompter` must outlive it.
  Tunnel(boost::asio::any_io_executor executor, TunnelOptions options, net::Resolver& resolver,
         crypto::Random& random, Prompter& prompter);
  ~Tunnel() override;

  /// The first connection. Once.
  [[nodiscard]] relay::Task<Result<void>> start();
  /// Waits until there will be no connection any more, and says why: Errc::cancelled after stop(). After
  /// start().
  [[nodiscard]] relay::Task<Error> over();
  /// As Client::streams_closed().
  [[nodiscard]] relay::Task<void> streams_closed(Duration time);
  /// Says goodbye and ends; all streams end. over() returns.
  void stop();
  [[nodiscard]] bool is_up() const;
  /// For people: "connected to bastion port 22 for 3601 s, lost 2 times so far".
  [[nodiscard]] std::string state_text() const;

  [[nodiscard]] relay::Task<relay::Dialed> dial(const relay::Endpoint& destination,
                                                const relay::Visit& visit) override;
  [[nodiscard]] relay::FarListener* far_listener() override { return this; }
  /// The source outlives a connection: the next one asks for it again, as often as it takes.
  [[nodiscard]] relay::Task<relay::Bound> listen(const relay::Endpoint& where) override;
  /// The same for who waits as long as it takes while there is no connection.
  [[nodiscard]] relay::Task<relay::Bound> listen_patiently(const relay::Endpoint& where);

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace culvert::tunnel
