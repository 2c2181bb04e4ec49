// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/forward.hpp"

#include <algorithm>
#include <exception>
#include <list>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/this_coro.hpp>

#include "base/log.hpp"
#include "engine/relay/arrival.hpp"
#include "engine/relay/balancing_dialer.hpp"
#include "engine/relay/client_watch.hpp"
#include "engine/relay/line_pace.hpp"
#include "engine/relay/metered_stream.hpp"
#include "engine/relay/pump.hpp"
#include "engine/relay/socket_stream.hpp"
#include "net/as_tuple.hpp"
#include "net/cancelled.hpp"
#include "net/socket.hpp"
#include "net/timer.hpp"
#include "net/yield.hpp"

namespace culvert::relay {

namespace asio = boost::asio;

namespace {

/// Of silent streams in one turn of the thread.
constexpr int kLooksPerTurn = 1024;
/// The watch over silent streams sleeps at least this part of the time between two looks at one of them.
constexpr int kLooksPerSleep = 16;
/// A source that always has one more must not keep the thread for itself.
constexpr int kStreamsPerTurn = 16;

/// From where a stream was dialed; HostPort{} if it does not begin at a socket of ours.
Endpoint near_end(Stream& dialed) {
  SocketStream* const socket = dialed.kernel_socket();
  const auto here = socket != nullptr ? net::local_endpoint(socket->socket().native_handle()) : std::nullopt;
  return here ? HostPort{here->address().to_string(), here->port()} : HostPort{};
}

/// A client that is joined to nothing, but served: its datagrams are carried.
struct Served {
  CarriedDatagrams so_far;
  std::optional<std::string> expired;  ///< why they are carried no longer
};

/// One stream, from its arrival to the end of its coroutine.
struct Live {
  explicit Live(StreamLimit::Place within) : place(std::move(within)) {}
  StreamLimit::Place place;
  asio::cancellation_signal give_up;  ///< ends the dial
  Arrival* arrival = nullptr;         ///< while somebody is to come; lives in the coroutine
  Pump* pump = nullptr;               ///< once joined; lives in the coroutine
  Served* served = nullptr;           ///< the same, of one that is served
  std::optional<Silence> silence;     ///< once joined or served, if anybody wants to know
  Instant look_at{};                  ///< when the watch looks at it next
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
      entry->served = nullptr;
      entry->running = false;
    }
    std::shared_ptr<State> state;
    std::list<Live>::iterator entry;
  };

  static Task<void> serve(Presence present, std::unique_ptr<Pending> pending);
  static Task<Dialed> dial_for(Presence& present, Negotiation& client, Task<Dialed> dial);
  static Task<Dialed> reach(Presence& present, Pending& pending, const Endpoint& destination);
  static Task<void> carry_datagrams(Presence& present, Pending& pending, const Endpoint& destination);
  static void start(const std::shared_ptr<State>& state, const asio::any_io_executor& executor,
                    std::unique_ptr<Pending> pending);
  void refuse(Pending& pending, const std::optional<Endpoint>& destination, const DialError& why);
  void finished(std::list<Live>::iterator entry, const std::exception_ptr& exception);
  static Task<void> watch(std::shared_ptr<State> state);
  [[nodiscard]] bool look_at_first(Instant now);
  void abort();

  const std::unique_ptr<Source> source;
  Dialer& dialer;
  const ForwardOptions options;
  std::optional<asio::any_io_executor> executor;  ///< of the streams' coroutines, once one was started
  std::list<Live> live;                 ///< with limits on silence: in the order in which they are looked at
  std::optional<net::Timer*> watching;  ///< watch() runs, and sleeps on this one if it is not null
  LinePace lines;                       ///< about refusals
  ForwardCounters totals;  ///< of streams that are gone; `live` and `dialing` are counted from the list
  std::optional<net::Timer> emptied;  ///< drain() sleeps on it
  bool stopping = false;
  bool aborting = false;
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
  for (net::Rounds rounds(kStreamsPerTurn);;) {
    auto pending = co_await state->source->next();
    if (!pending) {
      if (state->stopping) co_return Result<void>();
      co_return std::unexpected(std::move(pending).error());
    }
    State::start(state, executor, std::move(*pending));
    if (!rounds.make_a_turn()) continue;
    co_await net::yield();
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
  }
}

void Forward::stop() {
  state_->stopping = true;
  state_->source->stop();
}

Task<std::size_t> Forward::drain(Duration time) {
  const auto state = state_;
  const auto executor = co_await asio::this_coro::executor;
  const auto deadline = monotonic_now() + time;
  std::size_t aborted = 0;
  while (!state->live.empty() || state->watching) {
    const bool late = state->aborting || monotonic_now() >= deadline;
    if (late && aborted == 0) {
      aborted = state->live.size();
      state->abort();
    }
    state->emptied.emplace(executor, late ? kNever : deadline);
    (void)co_await state->emptied->async_wait(net::kTuple);
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
    if (live.served != nullptr) {
      ++counters.live;
      counters.bytes_out += live.served->so_far.bytes_out;
      counters.bytes_in += live.served->so_far.bytes_in;
    } else if (live.pump == nullptr) {
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
  auto place = state->options.limit.enter();
  if (!place) {
    ++state->totals.failed;
    if (state->options.limit.is_news(monotonic_now())) {
      log(LogLevel::warning, "{}: more than {} streams at once: refusing", state->source->name(),
          state->options.limit.most());
    }
    return pending->refuse(Refusal::overloaded);
  }
  state->executor = executor;
  const auto entry = state->live.emplace(state->live.end(), std::move(*place));
  if (const SilenceLimits& limits = state->options.silence; limits.any()) {
    entry->look_at = monotonic_now() + limits.look_every();
    if (!state->watching) {
      state->watching = nullptr;
      asio::co_spawn(executor, watch(state), asio::detached);
    }
  }
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
  if (pending->negotiation() != nullptr && pending->negotiation()->wants_datagrams())
    co_return co_await carry_datagrams(present, *pending, *destination);
  auto dialed = co_await reach(present, *pending, *destination);
  if (state->aborting) co_return;  // both ends are aborted by being destroyed
  if (!dialed) co_return state->refuse(*pending, destination, dialed.error());
  const auto stream = pending->accept();
  pending.reset();
  ++state->totals.accepted;
  if (const Rates& rates = state->options.rates; rates.any())
    dialed =
        std::make_unique<MeteredStream>(std::move(*dialed), std::make_unique<RateMeter>(rates.in, rates.out));

  Pump pump(*stream, **dialed);
  present.entry->pump = &pump;
  if (state->options.silence.any()) present.entry->silence.emplace(monotonic_now());
  const auto summary = co_await pump.run();
  present.entry->pump = nullptr;
  state->totals.bytes_out += summary.a_to_b;
  state->totals.bytes_in += summary.b_to_a;
  const bool timed_out = summary.error && summary.error->code == Errc::timed_out;
  log(timed_out ? LogLevel::verbose : LogLevel::debug, "{}: stream ended: {} bytes out, {} bytes in{}{}",
      state->source->name(), summary.a_to_b, summary.b_to_a, summary.error ? ": " : "",
      summary.error ? summary.error->message : "");
}

Task<void> Forward::State::carry_datagrams(Presence& present, Pending& pending, const Endpoint& destination) {
  State& state = *present.state;
  DatagramCarrier* const carrier = state.dialer.datagrams();
  if (carrier == nullptr) {
    co_return state.refuse(pending, destination, {Refusal::unsupported, "datagrams cannot be carried there"});
  }
  Live& live = *present.entry;
  Served served;
  live.served = &served;
  if (state.options.silence.any()) live.silence.emplace(monotonic_now());
  ++state.totals.accepted;
  const auto began =
      co_await pending.negotiation()->carry_datagrams(*carrier, state.options.rates, served.so_far);
  live.served = nullptr;
  if (!began) {
    --state.totals.accepted;
    if (!state.aborting) state.refuse(pending, destination, began.error());
    co_return;
  }
  const CarriedDatagrams& carried = served.so_far;
  state.totals.bytes_out += carried.bytes_out;
  state.totals.bytes_in += carried.bytes_in;
  log(served.expired ? LogLevel::verbose : LogLevel::debug,
      "{}: datagrams ended: {} bytes out, {} bytes in, {} datagrams dropped{}{}", state.source->name(),
      carried.bytes_out, carried.bytes_in, carried.dropped, served.expired ? ": " : "",
      served.expired.value_or(""));
}

// Who waits for an answer may lose patience. It would be a socket, or many, for nobody.
Task<Dialed> Forward::State::dial_for(Presence& present, Negotiation& client, Task<Dialed> dial) {
  std::optional<std::string> left;
  ClientWatch watch(co_await asio::this_coro::executor, client,
                    [&left, &give_up = present.entry->give_up](std::string why) {
                      left = std::move(why);
                      give_up.emit(asio::cancellation_type::terminal);
                    });
  std::exception_ptr exception;
  Dialed dialed = std::unexpected(DialError{Refusal::closed, "cancelled"});
  try {
    dialed = co_await std::move(dial);
  } catch (...) {
    exception = std::current_exception();
  }
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await watch.end();
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (left) co_return std::unexpected(DialError{Refusal::closed, *std::move(left)});
  if (exception) std::rethrow_exception(exception);
  co_return dialed;
}

// The stream at the far end, once the client knows that there is one.
Task<Dialed> Forward::State::reach(Presence& present, Pending& pending, const Endpoint& destination) {
  Negotiation* const negotiation = pending.negotiation();
  if (negotiation != nullptr && negotiation->wants_listener()) {
    Arrival arrival(present.state->dialer.peer_listener(), *negotiation, destination, pending.origin(),
                    present.state->options.arrival_time);
    present.entry->arrival = &arrival;
    auto arrived = co_await arrival.run();
    present.entry->arrival = nullptr;
    co_return arrived;
  }
  std::optional<BalancingDialer> to_any;
  if (auto targets = pending.destination() ? pending.targets() : present.state->options.targets)
    to_any.emplace(present.state->dialer, std::move(targets));
  Dialer& dialer = to_any ? static_cast<Dialer&>(*to_any) : present.state->dialer;
  if (negotiation == nullptr) co_return co_await dialer.dial(destination, pending);
  auto dialed = co_await dial_for(present, *negotiation, dialer.dial(destination, pending));
  if (!dialed || present.state->aborting) co_return dialed;
  if (const auto told = co_await negotiation->tell_connected(near_end(**dialed)); !told)
    co_return std::unexpected(DialError{Refusal::closed, "the client is gone: " + told.error().message});
  co_return dialed;
}

void Forward::State::refuse(Pending& pending, const std::optional<Endpoint>& destination,
                            const DialError& why) {
  ++totals.failed;
  if (!log_enabled(LogLevel::notice)) return pending.refuse(why.reason);
  const auto others = lines.next(monotonic_now());
  if (!others) return pending.refuse(why.reason);
  const std::string place = destination ? " -> " + to_string(*destination) : std::string();
  log_event(LogLevel::notice, "stream_refused", "{}{}: {}{}{}", source->name(), place,
            field("reason", why.message), why.hint, *others, options.context,
            field("destination", destination.value_or(UnixPath{})), field("origin", pending.origin()));
  pending.refuse(why.reason);
}

void Forward::State::finished(std::list<Live>::iterator entry, const std::exception_ptr& exception) {
  live.erase(entry);
  if (live.empty() && emptied) emptied->cancel();
  if (live.empty() && watching && *watching != nullptr) (*watching)->cancel();
  // A stream or dialer that throws breaks its contract, or memory ran out. That ends this stream and no
  // other.
  if (exception && !aborting)
    log(LogLevel::error, "{}: a stream failed: {}", source->name(), error_of(exception).message);
}

// Runs while there are streams. They are looked at in turn, so that those who came at different moments are
// never looked at all at once.
Task<void> Forward::State::watch(std::shared_ptr<State> state) {
  net::Timer timer(co_await asio::this_coro::executor);
  struct Watching {
    explicit Watching(std::shared_ptr<State> of, net::Timer& with) : state(std::move(of)) {
      state->watching = &with;
    }
    Watching(const Watching&) = delete;
    Watching& operator=(const Watching&) = delete;
    ~Watching() { state->watching.reset(); }
    const std::shared_ptr<State> state;
  };
  {
    const Watching watching(state, timer);
    while (!state->live.empty()) {
      const Instant now = monotonic_now();
      int looks = 0;
      while (looks < kLooksPerTurn && state->look_at_first(now)) ++looks;
      Duration pause = state->options.silence.look_every() / kLooksPerSleep;
      if (looks == kLooksPerTurn) {
        pause = Duration::zero();
      } else {
        pause = std::max(pause, state->live.front().look_at - now);
      }
      timer.expires_after(pause);
      (void)co_await timer.async_wait(net::kTuple);
    }
  }
  if (state->emptied) state->emptied->cancel();
}

// False: it is not its turn yet.
bool Forward::State::look_at_first(Instant now) {
  Live& first = live.front();
  if (first.look_at > now) return false;
  first.look_at = now + options.silence.look_every();
  if (first.pump != nullptr && first.silence) {
    if (auto why = first.silence->look(*first.pump, options.silence, now)) {
      ++totals.timed_out;
      first.pump->expire(std::move(*why));
    }
  }
  live.splice(live.end(), live, live.begin());
  if (first.running && first.served != nullptr && first.silence && !first.served->expired) {
    if (auto why = first.silence->look(first.served->so_far.datagrams, false, options.silence, now)) {
      ++totals.timed_out;
      first.served->expired = std::move(why);
      first.give_up.emit(asio::cancellation_type::terminal);  // it may be gone now
    }
  }
  return true;
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
