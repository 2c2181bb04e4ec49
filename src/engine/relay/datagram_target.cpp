// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/datagram_target.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/this_coro.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "engine/relay/signal.hpp"
#include "net/addresses.hpp"
#include "net/cancelled.hpp"
#include "net/udp_socket.hpp"

namespace culvert::relay {

namespace asio = boost::asio;
using asio::ip::udp;

namespace {

/// At most one look-up in so much time.
constexpr Duration kPace = std::chrono::seconds(1);

}  // namespace

struct ResolvedTarget::State : std::enable_shared_from_this<State> {
  State(HostPort to, net::Resolver& with, const ResolvedTargetOptions& how)
      : destination(std::move(to)), resolver(with), options(how) {}

  static Task<void> any_ready(std::vector<std::shared_ptr<State>> states);
  [[nodiscard]] Duration patience_left() const;
  /// Has a look-up run beside unless the last answer is fresh.
  void refresh_on(const asio::any_io_executor& executor);
  static Task<void> keep_fresh(std::shared_ptr<State> state);
  void note(const Result<std::vector<asio::ip::tcp::endpoint>>& answer);
  [[nodiscard]] std::vector<udp::endpoint> permitted(const std::vector<asio::ip::tcp::endpoint>& answer);
  [[nodiscard]] bool is_fresh() const {
    return is_literal || (answered && monotonic_now() - *answered < lifetime());
  }
  [[nodiscard]] Result<udp::endpoint> address_for(const udp::endpoint& client) const;
  /// Of the last answer.
  [[nodiscard]] Duration lifetime() const {
    return addresses.empty() ? std::min(kPace, options.again) : options.again;
  }

  const HostPort destination;
  net::Resolver& resolver;
  const ResolvedTargetOptions options;
  bool is_literal = false;
  std::vector<udp::endpoint> addresses;
  std::size_t current = 0;
  std::optional<Error> error;    ///< of the last look-up
  std::string left_out;          ///< why an address of the last answer was
  std::optional<Instant> asked;  ///< of a look-up that is under way
  std::optional<Instant> answered;
  std::size_t flows = 0;
  bool refused = false;  ///< since the last look-up
  bool is_running = false;
  bool stopped = false;
  std::optional<asio::any_io_executor> executor;
  std::shared_ptr<Signal> changed;  ///< of whoever waits, as the executor
  std::optional<Signal> hurry;      ///< ends a pause between look-ups
  asio::cancellation_signal give_up;
};

ResolvedTarget::ResolvedTarget(HostPort destination, net::Resolver& resolver, ResolvedTargetOptions options)
    : state_(std::make_shared<State>(std::move(destination), resolver, options)) {
  boost::system::error_code no_address;
  const auto address = asio::ip::make_address(state_->destination.host, no_address);
  if (no_address) return;
  state_->is_literal = true;
  state_->addresses = {{net::unmapped(address), state_->destination.port}};
}

ResolvedTarget::~ResolvedTarget() { stop(); }

Task<void> ResolvedTarget::ready() { return State::any_ready({state_}); }

Task<void> ResolvedTarget::any_ready(std::span<const std::unique_ptr<ResolvedTarget>> targets) {
  std::vector<std::shared_ptr<State>> states;
  for (const auto& target : targets) states.push_back(target->state_);
  return State::any_ready(std::move(states));
}

Task<void> ResolvedTarget::State::any_ready(std::vector<std::shared_ptr<State>> states) {
  const auto executor = co_await asio::this_coro::executor;
  const auto changed = std::make_shared<Signal>(executor);
  for (;;) {
    bool is_any_ready = false;
    std::optional<Duration> left;  // none: they all have an answer
    for (const auto& state : states) {
      state->changed = changed;
      state->refresh_on(executor);
      if (!state->is_fresh()) {
        left = std::min(left.value_or(Duration::max()), state->patience_left());
      } else if (!state->addresses.empty()) {
        is_any_ready = true;
      }
      is_any_ready = is_any_ready || state->stopped;
    }
    if (is_any_ready) co_return;
    if (!left || *left <= Duration::zero()) co_return;
    co_await changed->wait(*left);
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  }
}

// Old addresses are better than to keep clients waiting for a name server that is silent.
Duration ResolvedTarget::State::patience_left() const {
  if (addresses.empty()) return std::chrono::hours(1);
  return options.patience - (asked ? monotonic_now() - *asked : Duration::zero());
}

bool ResolvedTarget::is_known() const { return !state_->addresses.empty() || state_->error; }

Result<udp::endpoint> ResolvedTarget::choose(const udp::endpoint& client) {
  // It may have had no flows for long while other targets of its group had some.
  if (state_->executor) state_->refresh_on(*state_->executor);
  if (state_->addresses.empty()) {
    return std::unexpected(state_->error.value_or(
        net::cannot_resolve(state_->destination.host, {Errc::not_found, "no answer yet"})));
  }
  auto chosen = state_->address_for(client);
  if (chosen) ++state_->flows;
  return chosen;
}

Result<udp::endpoint> ResolvedTarget::State::address_for(const udp::endpoint& client) const {
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const udp::endpoint& one = addresses[(current + i) % addresses.size()];
    if (!options.same_family || one.protocol() == client.protocol()) return one;
  }
  return fail(Errc::not_found, fmt::format("{} has no address of the visitor's family ({})",
                                           printable(destination.host), client.address().to_string()));
}

void ResolvedTarget::ended(const udp::endpoint& target, End how) {
  --state_->flows;
  if (how != End::refused || state_->is_literal || state_->addresses.empty()) return;
  if (state_->addresses[state_->current] == target)
    state_->current = (state_->current + 1) % state_->addresses.size();
  state_->refused = true;
  if (state_->hurry) state_->hurry->wake();
}

void ResolvedTarget::stop() {
  if (std::exchange(state_->stopped, true) || !state_->executor) return;
  state_->changed->wake();
  state_->hurry->wake();
  asio::dispatch(*state_->executor, [state = state_] {
    if (state->is_running) state->give_up.emit(asio::cancellation_type::terminal);
  });
}

std::string ResolvedTarget::name() const { return to_string(state_->destination); }

void ResolvedTarget::State::refresh_on(const asio::any_io_executor& on) {
  executor = on;
  if (!hurry) hurry.emplace(on);
  if (stopped || is_fresh() || std::exchange(is_running, true)) return;
  asio::co_spawn(
      on, keep_fresh(shared_from_this()),
      asio::bind_cancellation_slot(give_up.slot(), [state = shared_from_this()](std::exception_ptr) {
        state->is_running = false;
        state->asked.reset();
        state->changed->wake();
      }));
}

// Looks up, once and then as long as there are flows.
Task<void> ResolvedTarget::State::keep_fresh(std::shared_ptr<State> state) {
  do {
    state->refused = false;
    state->asked = monotonic_now();
    const auto answer = co_await state->resolver.resolve(state->destination.host, state->destination.port,
                                                         state->options.family);
    if (state->stopped || net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
    state->note(answer);
    state->changed->wake();
    const Instant begin = monotonic_now();
    for (;;) {
      const Duration waited = monotonic_now() - begin;
      const Duration pause = state->refused ? std::min(kPace, state->lifetime()) : state->lifetime();
      if (waited >= pause) break;
      co_await state->hurry->wait(pause - waited);
      if (state->stopped || net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
    }
  } while (state->flows > 0 || state->refused);
}

void ResolvedTarget::State::note(const Result<std::vector<asio::ip::tcp::endpoint>>& answer) {
  answered = monotonic_now();
  asked.reset();
  if (!answer) {
    const bool failed_before =
        std::exchange(error, net::cannot_resolve(destination.host, answer.error())).has_value();
    if (!addresses.empty() && !failed_before)
      log(LogLevel::warning, "{}: still using {}", error->message, net::to_text(addresses[current]));
    return;
  }
  error.reset();
  std::vector<udp::endpoint> fresh = permitted(*answer);
  if (fresh.empty()) error = Error{Errc::not_found, left_out};
  // Answers come in any order: flows move only when their address is gone.
  const auto before = addresses.empty() ? std::nullopt : std::optional(addresses[current]);
  addresses = std::move(fresh);
  const auto same = before ? std::ranges::find(addresses, *before) : addresses.end();
  current = same == addresses.end() ? 0 : static_cast<std::size_t>(same - addresses.begin());
  if (before && !addresses.empty() && addresses[current] != *before) {
    log(LogLevel::notice, "{} has moved from {} to {}", printable(destination.host), net::to_text(*before),
        net::to_text(addresses[current]));
  }
}

// Each address once, but those that may not be gone to: the log says so when that changes.
std::vector<udp::endpoint> ResolvedTarget::State::permitted(
    const std::vector<asio::ip::tcp::endpoint>& answer) {
  std::vector<udp::endpoint> all;
  std::string reason;
  for (const auto& one : answer) {
    const udp::endpoint place(net::unmapped(one.address()), one.port());
    if (std::ranges::find(all, place) != all.end()) continue;
    if (options.judge) {
      auto decision = options.judge(destination.host, one.port(), net::ip_address_of(one.address()));
      if (!decision) {
        reason = std::move(decision.reason);
        continue;
      }
    }
    all.push_back(place);
  }
  if (!reason.empty() && reason != left_out)
    log(LogLevel::warning, "{}: left out: {}", printable(to_string(destination)), reason);
  left_out = std::move(reason);
  return all;
}

}  // namespace culvert::relay
