// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/log.hpp"
#include "engine/relay/signal.hpp"
#include "engine/tunnel/client.hpp"
#include "engine/tunnel/reconnect_pace.hpp"
#include "engine/tunnel/tunnel.hpp"
#include "net/route_watch.hpp"
#include "net/timer.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::tunnel {

/// What a Tunnel shares with the coroutines that work for it, and with sources that outlive a connection.
struct Tunnel::State {
  State(boost::asio::any_io_executor on, TunnelOptions with, net::Resolver& names, crypto::Random& numbers,
        Prompter& asks);

  /// One connection, from the name to the login.
  [[nodiscard]] relay::Task<Result<void>> attempt(bool again);
  /// Tells each new reason why it does not, but for the one that is known.
  [[nodiscard]] relay::Task<Result<void>> come_back(std::string known_reason);
  /// Waits for the end of each connection, and for the next one.
  [[nodiscard]] static relay::Task<void> stay(std::shared_ptr<State> state);
  /// Looks at the connection, or tries at once, when routes change.
  [[nodiscard]] static relay::Task<void> watch_routes(std::shared_ptr<State> state);
  /// False: not before `deadline`, or never, or the caller was cancelled.
  [[nodiscard]] relay::Task<bool> wait_until_up(Instant deadline);
  [[nodiscard]] relay::Task<bool> is_unanswered(relay::DialError error, const Client& asked,
                                                Instant deadline);
  [[nodiscard]] static relay::Task<relay::Bound> listen(std::shared_ptr<State> state, relay::Endpoint at,
                                                        Instant deadline);
  void came_up();
  void end(Error why);
  void tell(LogLevel level, const std::string& line) const;  ///< a change of state

  const boost::asio::any_io_executor executor;
  const TunnelOptions options;
  net::Resolver& resolver;
  crypto::Random& random;
  Prompter& prompter;
  const std::string place;  // "host port 22"

  const std::shared_ptr<LoginMemory> memory = std::make_shared<LoginMemory>();
  const ssh::InstanceId instance;  // this run, to the server: the same in every connection
  std::shared_ptr<Client> client;  // of this connection, or of the attempt at the next one
  ReconnectPace pace;
  relay::Signal changed;  // is_up, over or stopped
  std::optional<net::RouteWatch> routes;
  net::Timer pause;  // before an attempt
  bool is_up = false;
  Instant since = monotonic_now();  // of is_up as it is
  std::uint32_t times_lost = 0;
  bool stopped = false;
  std::optional<Error> over;
};

}  // namespace culvert::tunnel
