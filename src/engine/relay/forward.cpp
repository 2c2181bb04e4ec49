// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/forward.hpp"

#include <exception>
#include <list>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.hpp"
#include "engine/relay/arrival.hpp"
#include "engine/relay/pump.hpp"
#include "net/cancelled.hpp"

namespace culvert::relay {

namespace asio = boost::asio;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
/// A source that always has one more must not keep the thread for itself.
constexpr int kStreamsPerTurn = 64;

/// One stream, from its arrival to the end of its coroutine.
struct Live {
  asio::cancellation_signal give_up;  ///< ends the dial
  Arrival* arrival = nullptr;         ///< while somebody is to come; lives in the coroutine
  Pump* pump = nullptr;               ///< once joined; lives in the coroutine
  bool running = true;                ///< its coroutine exists
};

}  // namespace

struct Forward::State : std::enable_shared_from_this<State> {
  State(std::unique_ptr<Source> from, Dialer& to, ForwardOptions with)
      : source(std::move(from)), dialer(to), options(std::move(with)) {}

  /// Held by the coroutine of a stream: when that is gone, even if only because its io_context ended, nothing
  /// is left that could be stopped.
  struct Presence {
    explicit Presence(std::shared_ptr<State> owner, std::list<Live>::iterator in)
        : state(std::move(owner)), entry(in) {}
    Presence(Presence&&) = default;
    Presence& operator=(Presence&&) = delete;
    ~Presence() {
      if (!state) return;
      entry->arrival = nullptr;
      entry->pump = nullptr;
      entry->running = false;
    }
    std::shared_ptr<State> state;
    std::list<Live>::iterator entry;
  };

  static Task<void> serve(Presence present, std::unique_ptr<Pending> pending);
  static Task<Dialed> reach(Presence& present, Pending& pending, const Endpoint& destination);
  static void start(const std::shared_ptr<State>& state, const asio::any_io_executor& executor,
                    std::unique_ptr<Pending> pending);
  void refuse(Pending& pending, const std::optional<Endpoint>& destination, const DialError& why);
  void finished(std::list<Live>::iterator entry, const std::exception_ptr& exception);
  void abort();

  const std::unique_ptr<Source> source;
  Dialer& dialer;
  const ForwardOptions options;
  std::optional<asio::any_io_executor> executor;  ///< of the streams' coroutines, once one was started
  std::list<Live> live;
  ForwardCounters totals;  ///< of streams that are gone; `live` and `dialing` are counted from the list
  std::optional<asio::steady_timer> emptied;  ///< drain() sleeps on it
  bool stopping = false;
  bool aborting = false;
  bool at_limit = false;
};

Forward::Forward(std::unique_ptr<Source> source, Dialer& dialer, ForwardOptions options)
    : state_(std::make_shared<State>(std::move(source), dialer, std::move(options))) {}

Forward::~Forward() {
  stop();
  abort();
}

Task<Result<void>> Forward::run() {
  const auto state = state_;
  const auto executor = co_await asio::this_coro::executor;
  for (int in_turn = 0;;) {
    auto pending = co_await state->source->next();
    if (!pending) {
      if (state->stopping) co_return Result<void>();
      co_return std::unexpected(std::move(pending).error());
    }
    State::start(state, executor, std::move(*pending));
    if (++in_turn < kStreamsPerTurn) continue;
    in_turn = 0;
    co_await asio::post(asio::use_awaitable);
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state))
      co_return fail(Errc::cancelled, "cancelled");
  }
}

void Forward::stop() {
  state_->stopping = true;
  state_->source->stop();
}

Task<std::size_t> Forward::drain(Duration time) {
  const auto state = state_;
  const auto executor = co_await asio::this_coro::executor;
  const auto deadline = asio::steady_timer::clock_type::now() + time;
  std::size_t aborted = 0;
  while (!state->live.empty()) {
    const bool late = state->aborting || asio::steady_timer::clock_type::now() >= deadline;
    if (late && aborted == 0) {
      aborted = state->live.size();
      state->abort();
    }
    state->emptied.emplace(executor, late ? asio::steady_timer::time_point::max() : deadline);
    (void)co_await state->emptied->async_wait(kTuple);
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) break;
  }
  state->emptied.reset();
  co_return aborted;
}

void Forward::abort() { state_->abort(); }

ForwardCounters Forward::counters() const {
  ForwardCounters counters = state_->totals;
  for (const Live& live : state_->live) {
    if (!live.running) continue;
    if (live.pump == nullptr) {
      ++counters.dialing;
    } else {
      ++counters.live;
      counters.bytes_out += live.pump->a_to_b();
      counters.bytes_in += live.pump->b_to_a();
    }
  }
  return counters;
}

std::string Forward::name() const { return state_->source->name(); }

void Forward::State::start(const std::shared_ptr<State>& state, const asio::any_io_executor& executor,
                           std::unique_ptr<Pending> pending) {
  if (state->live.size() >= state->options.limit) {
    ++state->totals.failed;
    if (!std::exchange(state->at_limit, true)) {  // one line for a whole flood
      log(LogLevel::warning, "{}: more than {} streams at once: refusing", state->source->name(),
          state->options.limit);
    }
    return pending->refuse(Refusal::overloaded);
  }
  state->at_limit = false;
  state->executor = executor;
  const auto entry = state->live.emplace(state->live.end());
  asio::co_spawn(executor, serve(Presence(state, entry), std::move(pending)),
                 asio::bind_cancellation_slot(entry->give_up.slot(),
                                              [state, entry](const std::exception_ptr& exception) {
                                                state->finished(entry, exception);
                                              }));
}

Task<void> Forward::State::serve(Presence present, std::unique_ptr<Pending> pending) {
  State* const state = present.state.get();
  const auto& destination = pending->destination() ? pending->destination() : state->options.destination;
  if (!destination) {
    co_return state->refuse(*pending, destination, {Refusal::unsupported, "no destination"});
  }
  auto dialed = co_await reach(present, *pending, *destination);
  if (state->aborting) co_return;  // both ends are aborted by being destroyed
  if (!dialed) co_return state->refuse(*pending, destination, dialed.error());
  const auto stream = pending->accept();
  pending.reset();
  ++state->totals.accepted;

  Pump pump(*stream, **dialed);
  present.entry->pump = &pump;
  const auto summary = co_await pump.run();
  present.entry->pump = nullptr;
  state->totals.bytes_out += summary.a_to_b;
  state->totals.bytes_in += summary.b_to_a;
  log(LogLevel::debug, "{}: stream ended: {} bytes out, {} bytes in{}{}", state->source->name(),
      summary.a_to_b, summary.b_to_a, summary.error ? ": " : "", summary.error ? summary.error->message : "");
}

// The stream at the far end, once the client knows that there is one.
Task<Dialed> Forward::State::reach(Presence& present, Pending& pending, const Endpoint& destination) {
  Negotiation* const negotiation = pending.negotiation();
  if (negotiation != nullptr && negotiation->wants_listener()) {
    Arrival arrival(present.state->dialer.far_listener(), *negotiation, present.state->options.arrival_time);
    present.entry->arrival = &arrival;
    auto arrived = co_await arrival.run();
    present.entry->arrival = nullptr;
    co_return arrived;
  }
  auto dialed = co_await present.state->dialer.dial(destination, pending);
  if (!dialed || negotiation == nullptr || present.state->aborting) co_return dialed;
  if (const auto told = co_await negotiation->tell_connected(); !told)
    co_return std::unexpected(DialError{Refusal::closed, "the client is gone: " + told.error().message});
  co_return dialed;
}

void Forward::State::refuse(Pending& pending, const std::optional<Endpoint>& destination,
                            const DialError& why) {
  ++totals.failed;
  const std::string place = destination ? " -> " + to_string(*destination) : std::string();
  log_event(LogLevel::notice, "stream_refused", "{}{}: {}{}", source->name(), place,
            field("reason", why.message), why.hint, options.context,
            field("destination", destination.value_or(UnixPath{})), field("origin", pending.origin()));
  pending.refuse(why.reason);
}

void Forward::State::finished(std::list<Live>::iterator entry, const std::exception_ptr& exception) {
  live.erase(entry);
  if (live.empty() && emptied) emptied->cancel();
  if (!exception) return;
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    // A stream or dialer that throws breaks its contract, or memory ran out. That ends this stream and no
    // other.
    if (!aborting) log(LogLevel::error, "{}: a stream failed: {}", source->name(), error.what());
  }
}

void Forward::State::abort() {
  aborting = true;
  for (Live& one : live) {
    if (one.pump != nullptr) one.pump->stop();
    if (one.arrival != nullptr) one.arrival->stop();
  }
  if (live.empty() || !executor) return;
  // co_spawn of Boost 1.81 hands a cancellation to the executor and keeps nothing alive for it: there, it
  // happens at once.
  asio::dispatch(*executor, [state = shared_from_this()] {
    for (Live& one : state->live) {
      if (one.running && one.pump == nullptr) one.give_up.emit(asio::cancellation_type::terminal);
    }
  });
}

}  // namespace culvert::relay
