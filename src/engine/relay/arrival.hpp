// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "base/time.hpp"
#include "engine/relay/dialer.hpp"
#include "engine/relay/source.hpp"

namespace culvert::relay {

/// Waits at a dialer's far end for the one stream that a client wants to come (SOCKS BIND): listens at any
/// port there, tells the client which, takes the first stream from whom the client expects and that end lets
/// in, tells that, and listens no longer. Others who come are turned away.
class Arrival {
 public:
  /// `listener`: null if the dialer has none, which is Refusal::unsupported. Both must outlive run().
  /// `expected`: whom the client has named. `origin`: where the client came from.
  Arrival(PeerListener* listener, Negotiation& client, Endpoint expected, Endpoint origin, Duration time);
  ~Arrival();
  Arrival(const Arrival&) = delete;
  Arrival& operator=(const Arrival&) = delete;

  /// Once. The stream, or why there is none: nobody came in `time`, the client left, stop(). Asio
  /// cancellation works as stop() does.
  [[nodiscard]] Task<Dialed> run();
  /// run() returns soon after, with Refusal::closed.
  void stop();

 private:
  struct Watched;
  Task<Dialed> wait_for_stream(BoundSource& source);
  Task<Dialed> take_stream(BoundSource& source);

  PeerListener* const listener_;
  Negotiation& client_;
  const Endpoint expected_;
  const Endpoint origin_;
  const Duration time_;
  const std::shared_ptr<Watched> watched_;
};

}  // namespace culvert::relay
