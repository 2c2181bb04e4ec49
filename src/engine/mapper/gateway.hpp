// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crypto/random.hpp"
#include "engine/mapper/port_keeper.hpp"
#include "engine/relay/signal.hpp"
#include "net/default_routes.hpp"

namespace culvert::mapper {

/// One router, and the ports that it keeps open for us: by PCP, or else NAT-PMP, or else UPnP. The next one
/// is asked when the one before it says no, or is silent for a moment; the first that opens a port stays.
/// What happens is said in the log.
class Gateway final {
 public:
  /// One port as it is now.
  struct State {
    Port port;
    std::optional<Opening> opening;
    Instant end = kNever;  ///< if nobody renews it
    std::string_view by;   ///< "PCP"; if it is open
    std::string why;       ///< not open: what the router said
  };
  /// `random` must outlive it. `on_change` is called when states() has changed.
  Gateway(const net::DefaultRoute& route, std::span<const Port> ports, std::chrono::seconds lifetime,
          crypto::Random& random, std::function<void()> on_change,
          const boost::asio::any_io_executor& executor);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  /// Until stop(). Once.
  [[nodiscard]] relay::Task<void> run();
  /// Closes what is open, within `time`.
  void stop(Duration time);
  /// The way there may have changed; one that had nothing to offer is asked again.
  void refresh();

  [[nodiscard]] const net::DefaultRoute& route() const { return route_; }
  [[nodiscard]] std::span<const State> states() const { return states_; }
  [[nodiscard]] bool any_open() const;
  /// Why no port could be opened, for people, once that is known.
  [[nodiscard]] const std::optional<std::string>& failure() const { return failure_; }

 private:
  /// One way to ask, at work.
  struct Attempt;

  void opened(Attempt& by, std::size_t port, const Opening& opening);
  void refused(const Attempt& by, std::size_t port, const std::string& why);
  void lost(const Attempt& by, std::size_t port);
  void restarted(const Attempt& by);
  void explain(const IpAddress& outside);

  relay::Task<void> find_winner();
  relay::Task<void> end_attempts();
  Attempt& start(std::size_t way);
  [[nodiscard]] std::unique_ptr<PortKeeper> make_keeper(std::size_t way, KeeperListener& listener);
  [[nodiscard]] bool all_over() const;
  [[nodiscard]] std::string what_failed() const;
  void fail_all(const std::string& why);

  const net::DefaultRoute route_;
  const std::vector<Port> ports_;
  const std::chrono::seconds lifetime_;
  crypto::Random& random_;
  const std::function<void()> on_change_;
  relay::Signal changed_;
  std::vector<State> states_;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  Attempt* winner_ = nullptr;  // who has opened something
  std::optional<std::string> failure_;
  std::optional<IpAddress> explained_;  // the address outside that was complained of
  std::optional<Instant> stop_until_;
  bool refreshed_ = false;
};

}  // namespace culvert::mapper
