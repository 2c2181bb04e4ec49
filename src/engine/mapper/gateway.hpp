// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/mapper/port_keeper.hpp"
#include "engine/mapper/ways.hpp"
#include "engine/relay/signal.hpp"
#include "net/default_routes.hpp"

namespace culvert::mapper {

/// One router, and the ports that it keeps open for us, in one of several ways. The next one is tried when
/// the one before it says no, or is silent for a moment; the first that opens a port stays, and the others
/// take back what they have asked for. What happens is said in the log.
class Gateway final {
 public:
  /// One port as it is now.
  struct State {
    Port port;
    std::optional<Opening> opening;
    Instant end = kNever;  ///< if nobody renews it
    std::string by;        ///< "PCP"; if it is open
    std::string why;       ///< not open: what the router said
  };
  /// `ways`: to ask for these `ports`. `on_change` is called when states() has changed.
  Gateway(const net::DefaultRoute& route, std::span<const Port> ports, std::vector<Way> ways,
          std::function<void()> on_change, const boost::asio::any_io_executor& executor);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  /// Until stop(). Once.
  [[nodiscard]] relay::Task<void> run();
  /// Closes what is open, and gives up when the router says nothing for `patience`. What it has not closed
  /// is told.
  void stop(Duration patience);
  /// Says in the log what is open now, and for how long.
  void tell() const;
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
  void lost(const Attempt& by, std::size_t port, const std::string& why);
  void restarted(const Attempt& by);
  void silent(const Attempt& by, const std::string& why);
  void closed(Attempt& by, std::size_t port);
  void kept(const Attempt& by, std::size_t port, std::optional<Duration> left, const std::string& why);
  void explain(const IpAddress& outside);

  /// stop() was called.
  struct Stop {
    Duration patience;
    Instant until, at_last;
  };

  relay::Task<void> find_winner();
  relay::Task<void> keep_winner();
  relay::Task<void> end_attempts();
  Attempt& start(const Way& way);
  void stop_all_but(const Attempt* kept);
  void abandon_losers();
  void more_patience();
  void tell_what_is_left();
  [[nodiscard]] std::string inside(const State& state) const;
  [[nodiscard]] bool all_over() const;
  [[nodiscard]] std::string what_failed() const;
  void fail_all(const std::string& why);

  const net::DefaultRoute route_;
  const std::vector<Way> ways_;
  const std::function<void()> on_change_;
  relay::Signal changed_;
  std::vector<State> states_;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  Attempt* winner_ = nullptr;  // who has opened something
  std::optional<std::string> failure_;
  std::optional<IpAddress> explained_;  // the address outside that was complained of
  std::optional<Stop> stop_;
  bool refreshed_ = false;
  bool is_silence_told_ = false;
};

}  // namespace culvert::mapper
