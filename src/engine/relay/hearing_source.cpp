// SPDX-License-Identifier: Apache-2.0
//
//     inner source --> hearing (at most `limit`, each with a deadline) --> ready --> next()
//
// A client waits in `hearing` while it speaks, and in `ready` until somebody asks for it; both together are
// bounded by the limit.
#include "engine/relay/hearing_source.hpp"

#include <algorithm>
#include <deque>
#include <list>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

#include "base/assert.hpp"
#include "base/complaint.hpp"
#include "engine/relay/refusal_log.hpp"
#include "net/cancelled.hpp"
#include "net/descriptor_relief.hpp"
#include "net/parked.hpp"
#include "net/timer.hpp"
#include "net/yield.hpp"

namespace culvert::relay {

namespace asio = boost::asio;

namespace {

/// A source that always has one more must not keep the thread for itself.
constexpr int kHeadsPerTurn = 64;

/// A client that has not said what it wants.
struct Speaker {
  Stream* stream = nullptr;  ///< null once it was cut off
  Instant deadline;
};

/// A channel of a session has none.
bool holds_descriptor(const Speaker& speaker) {
  return speaker.stream != nullptr && speaker.stream->kernel_socket() != nullptr;
}

}  // namespace

struct HearingSource::State : std::enable_shared_from_this<State>, net::DescriptorHolder {
  State(std::unique_ptr<Source> from, Begin first, HearingOptions with)
      : inner(std::move(from)), begin(std::move(first)), options(with) {}

  /// Held by the coroutine of a client: when that is gone, so is its entry.
  struct Presence {
    Presence(std::shared_ptr<State> owner, std::list<Speaker>::iterator in)
        : state(std::move(owner)), entry(in) {}
    Presence(Presence&&) = default;
    Presence& operator=(Presence&&) = delete;
    ~Presence() {
      if (!state) return;
      state->hearing.erase(entry);
      state->wake(state->room);
    }
    std::shared_ptr<State> state;
    std::list<Speaker>::iterator entry;
  };

  static Task<void> take_all(std::shared_ptr<State> state);
  static Task<void> hear(Presence present, std::unique_ptr<Hearing> hearing);
  void start(const asio::any_io_executor& executor, std::unique_ptr<Pending> pending);
  void report(const Endpoint& origin, const Error& why);
  [[nodiscard]] Task<void> sleep(net::Parked& place) {
    return place.wait([this, &place] { wake(place); });
  }
  void wake(net::Parked& place) {
    if (clock) place.resume(clock->get_executor());
  }
  void set_clock();
  void cut_off_late();
  bool cut_off_oldest();
  [[nodiscard]] std::size_t held_descriptors() const override;
  void give_up_oldest() override;
  void finish(Error why);

  const std::unique_ptr<Source> inner;
  const Begin begin;
  const HearingOptions options;
  std::list<Speaker> hearing;  ///< oldest first
  std::deque<std::unique_ptr<Pending>> ready;
  std::optional<Error> error;
  net::Parked arrived;              ///< next()
  net::Parked room;                 ///< take_all()
  std::optional<net::Timer> clock;  ///< the first deadline; with the first next()
  RefusalLog refusals;
  Complaint exhausted;
  bool clock_is_set = false;
  Complaint full;
};

HearingSource::HearingSource(std::unique_ptr<Source> inner, Begin begin, HearingOptions options)
    : state_(std::make_shared<State>(std::move(inner), std::move(begin), options)) {
  CULVERT_ASSERT(state_->options.limit > 0);
}

HearingSource::~HearingSource() { stop(); }

Task<Result<std::unique_ptr<Pending>>> HearingSource::next() {
  const auto state = state_;
  if (!state->clock) {
    const auto executor = co_await asio::this_coro::executor;
    state->clock.emplace(executor);
    net::DescriptorRelief::of(executor).add(*state);
    // Ends with the inner source, which stop() ends.
    asio::co_spawn(executor, State::take_all(state), asio::detached);
  }
  while (state->ready.empty()) {
    if (state->error) co_return std::unexpected(*state->error);
    co_await state->sleep(state->arrived);
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
  }
  auto pending = std::move(state->ready.front());
  state->ready.pop_front();
  state->wake(state->room);
  co_return pending;
}

void HearingSource::stop() {
  state_->inner->stop();
  state_->finish(cancelled().error());
  state_->ready.clear();
  for (Speaker& speaker : state_->hearing) {
    if (auto* stream = std::exchange(speaker.stream, nullptr)) stream->abort();
  }
}

std::string HearingSource::name() const { return state_->inner->name(); }

Task<void> HearingSource::State::take_all(std::shared_ptr<State> state) {
  const auto executor = co_await asio::this_coro::executor;
  for (net::Rounds rounds(kHeadsPerTurn);;) {
    auto pending = co_await state->inner->next();
    if (!pending) co_return state->finish(std::move(pending).error());
    while (!state->error && state->hearing.size() + state->ready.size() >= state->options.limit) {
      if (state->full.is_due(monotonic_now())) {
        log(LogLevel::warning, "{}: {} clients have not said what they want: cutting off the oldest",
            state->inner->name(), state->hearing.size());
      }
      (void)state->cut_off_oldest();
      co_await state->sleep(state->room);
    }
    if (state->error) co_return;  // the pending refuses by itself
    state->start(executor, std::move(*pending));
    if (rounds.make_a_turn()) co_await net::yield();
  }
}

void HearingSource::State::start(const asio::any_io_executor& executor, std::unique_ptr<Pending> pending) {
  auto begun = begin(*pending);
  if (!begun) {
    report(pending->origin(), begun.error());
    return pending->refuse(Refusal::prohibited);
  }
  const auto entry =
      hearing.insert(hearing.end(), Speaker{&(*begun)->stream(), monotonic_now() + options.patience});
  set_clock();
  asio::co_spawn(executor, hear(Presence(shared_from_this(), entry), *std::move(begun)), asio::detached);
}

Task<void> HearingSource::State::hear(Presence present, std::unique_ptr<Hearing> hearing) {
  State& state = *present.state;
  auto heard = co_await hearing->hear();
  const bool was_cut_off = present.entry->stream == nullptr;
  present.entry->stream = nullptr;
  if (was_cut_off || state.error) co_return;
  if (!heard) co_return state.report(hearing->origin(), heard.error());
  state.ready.push_back(*std::move(heard));
  state.wake(state.arrived);
}

void HearingSource::State::report(const Endpoint& origin, const Error& why) {
  const bool left = why.code == Errc::closed || why.code == Errc::reset;
  refusals.add(left ? LogLevel::verbose : options.level, inner->name(), origin, why.message);
}

// One clock for all: they are in the order of their deadlines.
void HearingSource::State::set_clock() {
  if (clock_is_set || hearing.empty() || error) return;
  clock_is_set = true;
  clock->expires_at(hearing.front().deadline);
  clock->async_wait([weak = weak_from_this()](const boost::system::error_code& failed) {
    const auto state = weak.lock();
    if (!state) return;
    state->clock_is_set = false;
    if (failed) return;
    state->cut_off_late();
    state->set_clock();
  });
}

void HearingSource::State::cut_off_late() {
  const auto now = monotonic_now();
  for (Speaker& speaker : hearing) {
    if (speaker.deadline > now) break;
    if (speaker.stream == nullptr) continue;
    log(LogLevel::verbose, "{}: a client said nothing of use for too long", inner->name());
    std::exchange(speaker.stream, nullptr)->close();
  }
}

bool HearingSource::State::cut_off_oldest() {
  for (Speaker& speaker : hearing) {
    if (speaker.stream == nullptr) continue;
    std::exchange(speaker.stream, nullptr)->abort();
    return true;
  }
  return false;
}

std::size_t HearingSource::State::held_descriptors() const {
  return static_cast<std::size_t>(std::ranges::count_if(hearing, holds_descriptor));
}

void HearingSource::State::give_up_oldest() {
  if (exhausted.is_due(monotonic_now())) {
    log(LogLevel::warning,
        "{}: descriptors run out: cutting off the oldest of {} clients who have not said "
        "what they want",
        inner->name(), hearing.size());
  }
  const auto oldest = std::ranges::find_if(hearing, holds_descriptor);
  std::exchange(oldest->stream, nullptr)->abort();
}

void HearingSource::State::finish(Error why) {
  if (!error || why.code == Errc::cancelled) error = std::move(why);
  wake(arrived);
  wake(room);
  if (clock) clock->cancel();
}

}  // namespace culvert::relay
