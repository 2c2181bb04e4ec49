// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/gateway.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "engine/mapper/outside_address.hpp"
#include "engine/mapper/protocol_keeper.hpp"
#include "engine/mapper/upnp_keeper.hpp"
#include "net/addresses.hpp"

namespace culvert::mapper {

namespace asio = boost::asio;

namespace {

enum Way : std::uint8_t { kPcp, kNatPmp, kUpnp, kWays };

// How long one way may be silent before the next one is tried beside it.
constexpr Duration kHeadStart = std::chrono::milliseconds(250);
// Between rounds that came to nothing.
constexpr Duration kFirstPause = std::chrono::seconds(30), kLongestPause = std::chrono::minutes(10);
constexpr Duration kPauseAfterLoss = std::chrono::seconds(1);

// "udp 203.0.113.5:53", "[2001:db8::1]:80"
std::string place(gateway::Protocol protocol, const IpAddress& address, std::uint16_t port) {
  return (protocol == gateway::Protocol::udp ? "udp " : "") + with_port(address.text(), port);
}

}  // namespace

struct Gateway::Attempt final : KeeperListener {
  explicit Attempt(Gateway& of) : owner(of) {}
  void opened(std::size_t port, const Opening& opening) override { owner.opened(*this, port, opening); }
  void refused(std::size_t port, const std::string& reason) override { owner.refused(*this, port, reason); }
  void lost(std::size_t port) override { owner.lost(*this, port); }
  void restarted() override { owner.restarted(*this); }

  Gateway& owner;
  std::unique_ptr<PortKeeper> keeper;
  bool is_over = false;
  std::string why;  // it is over
};

Gateway::Gateway(const net::DefaultRoute& route, std::span<const Port> ports, std::chrono::seconds lifetime,
                 crypto::Random& random, std::function<void()> on_change,
                 const asio::any_io_executor& executor)
    : route_(route),
      ports_(ports.begin(), ports.end()),
      lifetime_(lifetime),
      random_(random),
      on_change_(std::move(on_change)),
      changed_(executor) {
  for (const Port& port : ports_) states_.emplace_back().port = port;
}

Gateway::~Gateway() = default;

relay::Task<void> Gateway::run() {
  Duration pause = kFirstPause;
  while (!stop_until_) {
    refreshed_ = false;
    co_await find_winner();
    const bool has_won = winner_ != nullptr;
    while (has_won && !winner_->is_over && !stop_until_) co_await changed_.wait();
    const std::string why = has_won ? std::string(winner_->why) : what_failed();
    co_await end_attempts();
    if (stop_until_) break;
    fail_all(why);
    pause = has_won ? kPauseAfterLoss : std::min(pause, kLongestPause);
    const Instant until = monotonic_now() + pause;
    while (!stop_until_ && !refreshed_ && monotonic_now() < until)
      co_await changed_.wait(until - monotonic_now());
    pause = has_won || refreshed_ ? kFirstPause : 2 * pause;
  }
}

// Until one has opened something, or there is none left.
relay::Task<void> Gateway::find_winner() {
  for (std::size_t way = 0; way < kWays && winner_ == nullptr && !stop_until_; ++way) {
    if (way == kNatPmp && !route_.here.is_v4()) continue;
    const Attempt& attempt = start(way);
    const Instant until = monotonic_now() + kHeadStart;
    while (winner_ == nullptr && !attempt.is_over && !stop_until_ && monotonic_now() < until)
      co_await changed_.wait(until - monotonic_now());
  }
  while (winner_ == nullptr && !all_over() && !stop_until_) co_await changed_.wait();
  for (const auto& attempt : attempts_) {
    if (winner_ != nullptr && attempt.get() != winner_) attempt->keeper->abandon();
  }
}

Gateway::Attempt& Gateway::start(std::size_t way) {
  attempts_.push_back(std::make_unique<Attempt>(*this));
  Attempt& attempt = *attempts_.back();
  attempt.keeper = make_keeper(way, attempt);
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

std::unique_ptr<PortKeeper> Gateway::make_keeper(std::size_t way, KeeperListener& listener) {
  const auto& executor = changed_.executor();
  if (way == kUpnp)
    return std::make_unique<UpnpKeeper>(route_, ports_, lifetime_, random_, listener, executor);
  const auto dialect = way == kPcp ? gateway::Dialect::pcp : gateway::Dialect::nat_pmp;
  return std::make_unique<ProtocolKeeper>(dialect, route_, ports_, lifetime_, random_, listener, executor);
}

// After stop() with what is open removed; otherwise at once.
relay::Task<void> Gateway::end_attempts() {
  if (stop_until_) {
    for (const auto& attempt : attempts_) {
      if (winner_ == nullptr || attempt.get() == winner_) attempt->keeper->stop();
    }
    while (!all_over() && monotonic_now() < *stop_until_)
      co_await changed_.wait(*stop_until_ - monotonic_now());
    for (State& state : states_) {
      if (!std::exchange(state.opening, std::nullopt)) continue;
      log_event(LogLevel::verbose, "open_down", "{} is closed again",
                place(state.port.protocol, net::ip_address_of(route_.here), state.port.inside));
    }
  }
  for (const auto& attempt : attempts_) attempt->keeper->abandon();
  while (!all_over()) co_await changed_.wait();
  winner_ = nullptr;
  attempts_.clear();
}

void Gateway::stop(Duration time) {
  if (!stop_until_) stop_until_ = monotonic_now() + time;
  changed_.wake();
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

void Gateway::fail_all(const std::string& why) {
  for (State& state : states_) {
    if (state.opening) {
      log_event(
          LogLevel::warning, "open_lost", "router {}: {} is no longer open: {}",
          field("router", route_.gateway.to_string()),
          field("inside", place(state.port.protocol, net::ip_address_of(route_.here), state.port.inside)),
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
  State& state = states_[port];
  const auto before = std::exchange(state.opening, opening);
  state.end = opening.lifetime == Duration::zero() ? kNever : monotonic_now() + opening.lifetime;
  state.by = by.keeper->name();
  state.why.clear();
  const std::string router = route_.gateway.to_string();
  const std::string inside = place(state.port.protocol, net::ip_address_of(route_.here), state.port.inside);
  const std::string outside = place(state.port.protocol, opening.address, opening.port);
  if (!before) {
    log_event(LogLevel::notice, "open_up", "open {} -> {} up ({}, router {})", field("outside", outside),
              field("inside", inside), field("by", state.by), field("router", router));
    if (opening.port != state.port.outside && opening.address.is_v4()) {
      log(LogLevel::warning, "router {} gave port {}, since {} could not be had", router, opening.port,
          state.port.outside);
    }
  } else if (before->address != opening.address || before->port != opening.port) {
    log_event(LogLevel::notice, "open_changed", "open {} -> {} now (it was {})", field("outside", outside),
              field("inside", inside),
              field("before", place(state.port.protocol, before->address, before->port)));
  } else {
    log_event(LogLevel::verbose, "open_renewed", "open {} -> {} renewed", field("outside", outside),
              field("inside", inside));
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

void Gateway::lost(const Attempt& by, std::size_t port) {
  State& state = states_[port];
  if (winner_ != &by || !std::exchange(state.opening, std::nullopt)) return;
  log_event(LogLevel::warning, "open_lost", "router {}: {} is no longer open: {}",
            field("router", route_.gateway.to_string()),
            field("inside", place(state.port.protocol, net::ip_address_of(route_.here), state.port.inside)),
            field("reason", "nobody answered to its renewal"));
  on_change_();
}

void Gateway::restarted(const Attempt& by) {
  if (winner_ != &by) return;
  log_event(LogLevel::notice, "router_restarted",
            "router {} has started again: its ports are opened once more",
            field("router", route_.gateway.to_string()));
}

}  // namespace culvert::mapper
