// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/gateway.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "engine/mapper/outside_address.hpp"
#include "net/addresses.hpp"

namespace culvert::mapper {

namespace asio = boost::asio;

namespace {

// How long one way may be silent before the next one is tried beside it.
constexpr Duration kHeadStart = std::chrono::milliseconds(250);
// Between rounds that came to nothing.
constexpr Duration kFirstPause = std::chrono::seconds(30), kLongestPause = std::chrono::minutes(10);
constexpr Duration kPauseAfterLoss = std::chrono::seconds(1);
// For a way that has lost to take back what it asked for: PCP asks again after three seconds.
constexpr Duration kLosersTime = std::chrono::seconds(4);
// A router that closes ports one after another is waited for as long as it does, but not for ever.
constexpr Duration kLongestStop = std::chrono::seconds(30);
// What is left open for less is not worth a warning.
constexpr Duration kSoon = std::chrono::seconds(10);

// "udp 203.0.113.5:53", "[2001:db8::1]:80"
std::string place(gateway::Protocol protocol, const IpAddress& address, std::uint16_t port) {
  return (protocol == gateway::Protocol::udp ? "udp " : "") + with_port(address.text(), port);
}

// "2 min", "40 s": not less than it is
std::string time_text(Duration time) {
  using std::chrono::minutes, std::chrono::seconds;
  return time > minutes(2) ? fmt::format("{} min", std::chrono::ceil<minutes>(time).count())
                           : fmt::format("{} s", std::chrono::ceil<seconds>(time).count());
}

}  // namespace

struct Gateway::Attempt final : KeeperListener {
  explicit Attempt(Gateway& of) : owner(of) {}
  void opened(std::size_t port, const Opening& opening) override { owner.opened(*this, port, opening); }
  void refused(std::size_t port, const std::string& reason) override { owner.refused(*this, port, reason); }
  void lost(std::size_t port, const std::string& reason) override { owner.lost(*this, port, reason); }
  void restarted() override { owner.restarted(*this); }
  void silent(const std::string& reason) override { owner.silent(*this, reason); }
  void closed(std::size_t port) override { owner.closed(*this, port); }
  void kept(std::size_t port, std::optional<Duration> left, const std::string& reason) override {
    owner.kept(*this, port, left, reason);
  }

  Gateway& owner;
  std::unique_ptr<PortKeeper> keeper;
  bool is_over = false;
  bool has_closed = false;  // a port, and that was not looked at yet
  std::string why;          // it is over
};

Gateway::Gateway(const net::DefaultRoute& route, std::span<const Port> ports, std::vector<Way> ways,
                 std::function<void()> on_change, const asio::any_io_executor& executor)
    : route_(route), ways_(std::move(ways)), on_change_(std::move(on_change)), changed_(executor) {
  for (const Port& port : ports) states_.emplace_back().port = port;
}

Gateway::~Gateway() = default;

relay::Task<void> Gateway::run() {
  Duration pause = kFirstPause;
  while (!stop_) {
    refreshed_ = false;
    co_await find_winner();
    const bool has_won = winner_ != nullptr;
    if (has_won) co_await keep_winner();
    const std::string why = has_won ? std::string(winner_->why) : what_failed();
    co_await end_attempts();
    if (stop_) break;
    fail_all(why);
    pause = has_won ? kPauseAfterLoss : std::min(pause, kLongestPause);
    const Instant until = monotonic_now() + pause;
    while (!stop_ && !refreshed_ && monotonic_now() < until) co_await changed_.wait(until - monotonic_now());
    pause = has_won || refreshed_ ? kFirstPause : 2 * pause;
  }
}

// Until one has opened something, or there is none left.
relay::Task<void> Gateway::find_winner() {
  for (auto way = ways_.begin(); way != ways_.end() && winner_ == nullptr && !stop_; ++way) {
    const Attempt& attempt = start(*way);
    const Instant until = monotonic_now() + kHeadStart;
    while (winner_ == nullptr && !attempt.is_over && !stop_ && monotonic_now() < until)
      co_await changed_.wait(until - monotonic_now());
  }
  while (winner_ == nullptr && !all_over() && !stop_) co_await changed_.wait();
}

// Until it is over. The others take back what they have asked for meanwhile: their answers may come yet.
relay::Task<void> Gateway::keep_winner() {
  stop_all_but(winner_);
  Instant patience = monotonic_now() + kLosersTime;
  while (!winner_->is_over && !stop_) {
    for (const auto& attempt : attempts_) {
      // It may have been the same port to the router.
      const bool is_gone = attempt.get() != winner_ && attempt->is_over;
      if (is_gone && std::exchange(attempt->has_closed, false)) winner_->keeper->refresh();
    }
    if (monotonic_now() >= patience) {
      abandon_losers();
      patience = kNever;
    }
    co_await changed_.wait(std::min<Duration>(patience - monotonic_now(), std::chrono::hours(1)));
  }
}

void Gateway::stop_all_but(const Attempt* kept) {
  for (const auto& attempt : attempts_) {
    if (attempt.get() != kept && !attempt->is_over) attempt->keeper->stop();
  }
}

void Gateway::abandon_losers() {
  for (const auto& attempt : attempts_) {
    if (attempt.get() != winner_) attempt->keeper->abandon();
  }
}

Gateway::Attempt& Gateway::start(const Way& way) {
  attempts_.push_back(std::make_unique<Attempt>(*this));
  Attempt& attempt = *attempts_.back();
  attempt.keeper = way(attempt);
  asio::co_spawn(changed_.executor(), attempt.keeper->run(),
                 [this, &attempt](const std::exception_ptr& exception, const Result<void>& result) {
                   attempt.is_over = true;
                   if (exception) {
                     attempt.why = error_of(exception).message;
                   } else if (!result) {
                     attempt.why = result.error().message;
                   }
                   changed_.wake();
                 });
  return attempt;
}

// After stop() with what is open removed; otherwise at once.
relay::Task<void> Gateway::end_attempts() {
  if (stop_) {
    stop_all_but(nullptr);
    while (!all_over() && monotonic_now() < stop_->until)
      co_await changed_.wait(stop_->until - monotonic_now());
    tell_what_is_left();
  }
  for (const auto& attempt : attempts_) attempt->keeper->abandon();
  while (!all_over()) co_await changed_.wait();
  winner_ = nullptr;
  attempts_.clear();
}

void Gateway::stop(Duration patience) {
  const Instant now = monotonic_now();
  if (!stop_) stop_ = Stop{patience, now + patience, now + kLongestStop};
  changed_.wake();
}

void Gateway::more_patience() {
  if (stop_) stop_->until = std::min(monotonic_now() + stop_->patience, stop_->at_last);
  changed_.wake();
}

void Gateway::closed(Attempt& by, std::size_t port) {
  by.has_closed = true;
  more_patience();
  State& state = states_[port];
  if (winner_ != &by || !std::exchange(state.opening, std::nullopt)) return;
  log_event(LogLevel::verbose, "open_down", "{} is closed again", field("inside", inside(state)));
  on_change_();
}

void Gateway::kept(const Attempt& by, std::size_t port, std::optional<Duration> left,
                   const std::string& why) {
  more_patience();
  if (winner_ != &by) return;
  State& state = states_[port];
  if (left) state.end = monotonic_now() + *left;
  state.why = why;
}

void Gateway::tell_what_is_left() {
  for (State& state : states_) {
    if (!std::exchange(state.opening, std::nullopt)) continue;
    const Duration left = state.end - monotonic_now();
    const std::string time =
        state.end == kNever ? "until it is removed in the router's settings" : "for " + time_text(left);
    log_event(left > kSoon ? LogLevel::warning : LogLevel::verbose, "open_left",
              "router {} has not closed {}, which stays open {}: {}",
              field("router", route_.gateway.to_string()), field("inside", inside(state)),
              field("time", time), field("reason", state.why.empty() ? "no answer" : state.why));
  }
}

std::string Gateway::inside(const State& state) const {
  return place(state.port.protocol, net::ip_address_of(route_.here), state.port.inside);
}

void Gateway::refresh() {
  refreshed_ = true;
  if (winner_ != nullptr) winner_->keeper->refresh();
  changed_.wake();
}

bool Gateway::any_open() const {
  return std::ranges::any_of(states_, [](const State& state) { return state.opening.has_value(); });
}

bool Gateway::all_over() const {
  return std::ranges::all_of(attempts_, [](const auto& attempt) { return attempt->is_over; });
}

// "PCP: no answer; NAT-PMP: no answer; UPnP: it does not allow that (error 606)"
std::string Gateway::what_failed() const {
  std::string text;
  for (const auto& attempt : attempts_)
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", attempt->keeper->name(), attempt->why);
  return text;
}

void Gateway::tell() const {
  const std::string router = route_.gateway.to_string();
  for (const State& state : states_) {
    if (!state.opening) {
      log_event(LogLevel::notice, "open_state", "{} is not open at router {}: {}",
                field("inside", inside(state)), field("router", router),
                field("reason", state.why.empty() ? "it has not answered" : state.why));
      continue;
    }
    const std::string outside = place(state.port.protocol, state.opening->address, state.opening->port);
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(state.end - monotonic_now());
    const std::string lasts = state.end == kNever ? "until it is closed"
                                                  : fmt::format("for {} s more if not renewed", left.count());
    log_event(LogLevel::notice, "open_state", "open {} -> {} {} ({}, router {})", field("outside", outside),
              field("inside", inside(state)), lasts, field("by", state.by), field("router", router));
  }
}

void Gateway::fail_all(const std::string& why) {
  for (State& state : states_) {
    if (state.opening) {
      log_event(LogLevel::warning, "open_lost", "router {}: {} is no longer open: {}",
                field("router", route_.gateway.to_string()), field("inside", inside(state)),
                field("reason", why));
    }
    state.opening.reset();
    state.why = why;
  }
  failure_ = why;
  on_change_();
}

void Gateway::opened(Attempt& by, std::size_t port, const Opening& opening) {
  if (winner_ == nullptr) winner_ = &by;
  if (winner_ != &by) return;
  failure_.reset();
  is_silence_told_ = false;
  State& state = states_[port];
  const auto before = std::exchange(state.opening, opening);
  state.end = opening.lifetime == Duration::zero() ? kNever : monotonic_now() + opening.lifetime;
  state.by = by.keeper->name();
  state.why.clear();
  const std::string router = route_.gateway.to_string();
  const std::string here = inside(state);
  const std::string outside = place(state.port.protocol, opening.address, opening.port);
  if (!before) {
    log_event(LogLevel::notice, "open_up", "open {} -> {} up ({}, router {})", field("outside", outside),
              field("inside", here), field("by", state.by), field("router", router));
    if (opening.port != state.port.outside && opening.address.is_v4()) {
      log(LogLevel::warning, "router {} gave port {}, since {} could not be had", router, opening.port,
          state.port.outside);
    }
  } else if (before->address != opening.address || before->port != opening.port) {
    log_event(LogLevel::notice, "open_changed", "open {} -> {} now (it was {})", field("outside", outside),
              field("inside", here),
              field("before", place(state.port.protocol, before->address, before->port)));
  } else {
    log_event(LogLevel::verbose, "open_renewed", "open {} -> {} renewed", field("outside", outside),
              field("inside", here));
  }
  explain(opening.address);
  on_change_();
  changed_.wake();
}

void Gateway::explain(const IpAddress& outside) {
  if (explained_ == outside) return;
  explained_ = outside;
  const std::string why = why_unreachable(outside);
  if (why.empty()) return;
  log_event(LogLevel::warning, "open_unreachable", "router {} is {} outside: {}",
            field("router", route_.gateway.to_string()), field("outside", outside.text()),
            field("reason", why));
}

void Gateway::refused(const Attempt& by, std::size_t port, const std::string& why) {
  State& state = states_[port];
  if (winner_ != &by || state.why == why) return;
  state.why = why;
  log_event(LogLevel::warning, "open_refused", "router {} does not open {} {}: {}",
            field("router", route_.gateway.to_string()), gateway::name_of(state.port.protocol),
            field("port", state.port.outside), field("reason", why));
  on_change_();
}

void Gateway::lost(const Attempt& by, std::size_t port, const std::string& why) {
  State& state = states_[port];
  if (winner_ != &by || !std::exchange(state.opening, std::nullopt)) return;
  log_event(LogLevel::warning, "open_lost", "router {}: {} is no longer open: {}",
            field("router", route_.gateway.to_string()), field("inside", inside(state)),
            field("reason", why));
  on_change_();
}

void Gateway::restarted(const Attempt& by) {
  if (winner_ != &by) return;
  log_event(LogLevel::notice, "router_restarted",
            "router {} has started again: its ports are opened once more",
            field("router", route_.gateway.to_string()));
}

void Gateway::silent(const Attempt& by, const std::string& why) {
  if (winner_ != &by || std::exchange(is_silence_told_, true)) return;
  log_event(
      LogLevel::warning, "router_silent",
      "router {} is not found any more ({}): what it has open stays so for its time, and is renewed when it "
      "is back",
      field("router", route_.gateway.to_string()), field("reason", why));
}

}  // namespace culvert::mapper
