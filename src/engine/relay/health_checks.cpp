// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/health_checks.hpp"

#include <cstddef>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/this_coro.hpp>

#include "engine/relay/signal.hpp"
#include "net/as_tuple.hpp"
#include "net/cancelled.hpp"
#include "net/timer.hpp"

namespace culvert::relay {

namespace asio = boost::asio;

namespace {

/// One check that runs. Outlives it, since a clock that was stopped may already have struck.
struct Check {
  void give_up() {
    if (dialing) signal.emit(asio::cancellation_type::terminal);
  }
  asio::cancellation_signal signal;
  bool dialing = false;
  bool too_slow = false;
};

}  // namespace

struct HealthChecks::State {
  static Task<void> check_on(std::shared_ptr<State> state, std::size_t index);
  static Task<void> check_once(std::shared_ptr<State> state, std::size_t index);
  void stop();

  Dialer& dialer;
  const std::shared_ptr<TargetGroup> group;
  const HealthCheckOptions options;
  std::optional<Signal> changed;               ///< once it runs: stop(), or the end of the checks of a target
  std::vector<std::shared_ptr<Check>> checks;  ///< that run now, by target
  std::size_t running = 0;
  bool stopping = false;
};

HealthChecks::HealthChecks(Dialer& dialer, std::shared_ptr<TargetGroup> group, HealthCheckOptions options)
    : state_(std::make_shared<State>(dialer, std::move(group), options)) {}

HealthChecks::~HealthChecks() { stop(); }

void HealthChecks::stop() { state_->stop(); }

Task<void> HealthChecks::run() {
  const auto state = state_;
  const auto executor = co_await asio::this_coro::executor;
  // After a cancellation what was started must still be waited for.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  state->changed.emplace(executor);
  state->checks.resize(state->group->size());
  for (std::size_t index = 0; index < state->group->size(); ++index) {
    ++state->running;
    asio::co_spawn(executor, State::check_on(state, index), [state](const std::exception_ptr&) {
      --state->running;
      state->changed->wake();
    });
  }
  while (state->running > 0) {
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) state->stop();
    co_await state->changed->wait();
  }
  state->changed.reset();
  co_await asio::this_coro::throw_if_cancelled(throws);
}

Task<void> HealthChecks::State::check_on(std::shared_ptr<State> state, std::size_t index) {
  Instant next = monotonic_now() + state->options.interval * index / state->group->size();
  while (!state->stopping) {
    const Instant now = monotonic_now();
    if (now < next) {
      co_await state->changed->wait(next - now);
      continue;
    }
    next = now + state->options.interval;
    co_await check_once(state, index);
  }
}

Task<void> HealthChecks::State::check_once(std::shared_ptr<State> state, std::size_t index) {
  const auto executor = co_await asio::this_coro::executor;
  const auto check = std::make_shared<Check>();
  net::Timer clock(executor, state->options.time);
  clock.async_wait([check](const boost::system::error_code& error) {
    if (error || !check->dialing) return;
    check->too_slow = true;
    check->give_up();
  });
  check->dialing = true;
  state->checks[index] = check;
  const KnownVisit nobody{UnixPath{}};
  Endpoint place = state->group->target(index);
  if (auto* const host = std::get_if<HostPort>(&place); host != nullptr && state->options.port != 0)
    host->port = state->options.port;
  auto [failure, dialed] =
      co_await asio::co_spawn(executor, state->dialer.dial(place, nobody),
                              asio::bind_cancellation_slot(check->signal.slot(), net::kTuple));
  check->dialing = false;
  state->checks[index].reset();
  if (state->stopping || failure) co_return;
  if (dialed) {
    (*dialed)->abort();
    state->group->check_passed(index);
  } else if (check->too_slow || !is_ours(dialed.error().reason)) {
    state->group->check_failed(index, check->too_slow ? "no answer in time" : dialed.error().message);
  }
}

void HealthChecks::State::stop() {
  if (std::exchange(stopping, true) || !changed) return;
  changed->wake();
  // co_spawn of Boost 1.81 hands a cancellation to the executor: there, it happens at once.
  for (const auto& check : checks) {
    if (check) asio::dispatch(changed->executor(), [check] { check->give_up(); });
  }
}

}  // namespace culvert::relay
