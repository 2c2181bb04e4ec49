// SPDX-License-Identifier: Apache-2.0
#include "net/readiness.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <sched.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/assert.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

constexpr unsigned kEnd = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr unsigned kReadable = EPOLLIN | kEnd;
constexpr unsigned kWritable = EPOLLOUT | EPOLLHUP | EPOLLERR;

constexpr Duration kLook = std::chrono::microseconds(100);
/// Of those held back, until the next look.
constexpr Duration kMostTurns = std::chrono::milliseconds(5);
/// Who reads so much at a time is in bulk.
constexpr std::size_t kBulk = std::size_t{16} * 1024;

std::uint64_t to_data(Readiness::Watch watch) {
  return (std::uint64_t{watch.generation} << 32) | watch.index;
}
Readiness::Watch from_data(std::uint64_t data) {
  return {static_cast<std::uint32_t>(data), static_cast<std::uint32_t>(data >> 32)};
}

// No socket has these names.
constexpr Readiness::Watch kAsio{0, 0}, kWake{1, 0};

bool watch(int epoll, int descriptor, Readiness::Watch name, unsigned events) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = to_data(name);
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

// Asio does not tell it. But an instance that watches a descriptor already answers EEXIST to who adds it.
// What other threads may have open meanwhile is tried, too, and left as it was.
std::optional<int> epoll_of(const asio::any_io_executor& executor) {
  UniqueFd known(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!known) return std::nullopt;
  boost::system::error_code error;
  asio::posix::stream_descriptor watched(executor);
  watched.assign(known.get(), error);
  if (error) return std::nullopt;
  const int descriptor = known.release();
  rlimit limit = {};
  (void)::getrlimit(RLIMIT_NOFILE, &limit);
  for (int i = 0; static_cast<rlim_t>(i) < limit.rlim_cur; ++i) {
    epoll_event none = {};
    if (::epoll_ctl(i, EPOLL_CTL_ADD, descriptor, &none) == 0) {
      (void)::epoll_ctl(i, EPOLL_CTL_DEL, descriptor, &none);
    } else if (errno == EEXIST) {
      return i;
    }
  }
  return std::nullopt;
}

asio::any_io_executor executor_of(asio::execution_context& context) {
  return static_cast<asio::io_context&>(context).get_executor();
}

}  // namespace

/// What wakes Asio for us.
struct Readiness::ByAsio {
  explicit ByAsio(const asio::any_io_executor& executor) : watched(executor), clock(executor) {}
  ~ByAsio() { give_up_watch(); }
  ByAsio(const ByAsio&) = delete;
  ByAsio& operator=(const ByAsio&) = delete;

  // Asio would close it.
  void give_up_watch() {
    if (watched.is_open()) (void)watched.release();
  }

  asio::posix::stream_descriptor watched;  ///< our epoll instance
  bool armed = false;                      ///< a handler of its wait is still to come
  asio::steady_timer clock;                ///< the next moment of all
  std::optional<Instant> clock_at;
};

asio::execution_context::id Readiness::id;

Readiness::Readiness(asio::execution_context& context)
    : service(context),
      executor_(executor_of(context)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      failure_(epoll_ ? 0 : errno) {
  if (failure_ != 0) return;
  wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_ || !watch(epoll_.get(), wake_.get(), kWake, EPOLLIN | EPOLLET)) failure_ = errno;
}

Readiness::~Readiness() = default;

Readiness& Readiness::of(const asio::any_io_executor& executor) {
  return asio::use_service<Readiness>(asio::query(executor, asio::execution::context));
}

Result<Readiness::Watch> Readiness::add(int socket, Kind kind) {
  if (failure_ != 0) return fail_errno("cannot wait for sockets", failure_);
  std::uint32_t index = 0;
  if (free_.empty()) {
    index = static_cast<std::uint32_t>(entries_.size());
    entries_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Entry& entry = entries_[index];
  const std::uint32_t generation = entry.generation + 1 == 0 ? 1 : entry.generation + 1;
  entry = {.generation = generation, .socket = socket, .kind = kind, .in_use = true};
  const Watch watch{index, generation};
  if (tell_kernel(EPOLL_CTL_ADD, entry, watch)) return watch;
  // One that was closed here while another process, or a message, had it too, and that came back.
  if (errno == EEXIST && tell_kernel(EPOLL_CTL_MOD, entry, watch)) return watch;
  const int error = errno;
  remove(watch);
  return fail_errno("cannot wait for a socket", error);
}

// What is there at that moment is told of, in any case.
bool Readiness::tell_kernel(int what, const Entry& entry, Watch watch) {
  epoll_event event = {};
  event.events = EPOLLRDHUP | EPOLLPRI | EPOLLET;
  if (!entry.is_deaf) event.events |= EPOLLIN;
  if (entry.watches_out) event.events |= EPOLLOUT;
  event.data.u64 = to_data(watch);
  return ::epoll_ctl(epoll_.get(), what, entry.socket, &event) == 0;
}

void Readiness::remove(Watch watch) {
  cancel(watch, Direction::in);
  cancel(watch, Direction::out);
  Entry* const entry = find(watch);
  if (entry == nullptr) return;
  entry->in_use = false;
  free_.push_back(watch.index);
}

void Readiness::let_go(Watch watch) {
  if (const Entry* const entry = find(watch))
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, entry->socket, nullptr);
  remove(watch);
}

bool Readiness::is_ready(Watch watch, Direction direction) const {
  const Entry* const entry = find(watch);
  return entry != nullptr && entry->ready[std::to_underlying(direction)];
}

bool Readiness::has_sent_end(Watch watch) const {
  const Entry* const entry = find(watch);
  return entry != nullptr && entry->has_sent_end;
}

bool Readiness::has_been_urgent(Watch watch) const {
  const Entry* const entry = find(watch);
  return entry != nullptr && entry->is_urgent;
}

bool Readiness::take_error_seen(Watch watch) {
  Entry* const entry = find(watch);
  return entry != nullptr && std::exchange(entry->error_seen, false);
}

void Readiness::set_failure_listener(Watch watch, FailureListener* listener) {
  if (Entry* const entry = find(watch)) entry->failure_listener = listener;
}

void Readiness::drained(Watch watch, Direction direction) {
  if (Entry* const entry = find(watch)) entry->ready[std::to_underlying(direction)] = false;
}

Result<void> Readiness::ask_again(Watch watch, Direction direction) {
  Entry* const entry = find(watch);
  if (entry == nullptr) return cancelled();
  if (!tell_kernel(EPOLL_CTL_MOD, *entry, watch)) return fail_errno("cannot wait for a descriptor", errno);
  entry->ready[std::to_underlying(direction)] = false;
  return {};
}

void Readiness::read(Watch watch, std::size_t bytes, std::size_t wanted) {
  if (bytes >= kBulk) in_bulk();
  Entry* const entry = find(watch);
  if (entry == nullptr || bytes == wanted) return;
  // Of TCP a short read took all there was; what comes behind it, an end too, is told of again. Unless it
  // ended before urgent bytes.
  if (entry->kind == Kind::tcp && !entry->has_ended && !entry->is_urgent)
    entry->ready[std::to_underlying(Direction::in)] = false;
}

Result<void> Readiness::wait(Watch watch, Direction direction, Waiter& waiter) {
  Entry* const entry = find(watch);
  if (entry == nullptr) return cancelled();
  // Out not from the start: a Unix socket is told each time that its peer has read.
  Entry wanted = *entry;
  if (direction == Direction::out) wanted.watches_out = true;
  if (direction == Direction::in) wanted.is_deaf = false;
  if (wanted.watches_out != entry->watches_out || wanted.is_deaf != entry->is_deaf) {
    if (!tell_kernel(EPOLL_CTL_MOD, wanted, watch)) return fail_errno("cannot wait for a socket", errno);
    *entry = wanted;
  }
  Waiter*& place = entry->waiters[std::to_underlying(direction)];
  CULVERT_ASSERT(place == nullptr);
  place = &waiter;
  ++waiting_;
  arm();
  return {};
}

void Readiness::cancel(Watch watch, Direction direction, const Waiter* waiter) {
  Entry* const entry = find(watch);
  if (entry == nullptr) return;
  if (waiter != nullptr && entry->waiters[std::to_underlying(direction)] != waiter) return;
  Waiter* const was = take(*entry, direction);
  if (was == nullptr) return;
  was->cancelled();
  disarm_if_idle();
}

void Readiness::forget(Watch watch, Direction direction, const Waiter& waiter) {
  Entry* const entry = find(watch);
  if (entry == nullptr || entry->waiters[std::to_underlying(direction)] != &waiter) return;
  (void)take(*entry, direction);
  disarm_if_idle();
}

void Readiness::wait_until(Instant at, Alarm& alarm) {
  CULVERT_ASSERT(!alarm.is_set());
  alarm.at_ = at;
  alarms_.insert(alarm);
  if (sleeps_) return hold_work();
  set_clock();
}

void Readiness::forget(Alarm& alarm) {
  if (!alarm.is_set()) return;
  alarms_.erase(alarms_.iterator_to(alarm));
  if (!sleeps_) set_clock();
}

Instant Readiness::next_moment() const { return alarms_.empty() ? kNever : alarms_.begin()->at_; }

void Readiness::ring(Instant now) {
  while (next_moment() <= now) {
    Alarm& alarm = *alarms_.begin();
    alarms_.erase(alarms_.begin());
    alarm.due();
  }
}

// Where the context runs by itself: one timer of Asio for all of ours.
void Readiness::set_clock() {
  using Clock = asio::steady_timer;
  if (alarms_.empty()) {
    if (by_asio_ && std::exchange(by_asio_->clock_at, std::nullopt)) by_asio_->clock.cancel();
    return;
  }
  ByAsio& by = by_asio();
  const Instant next = next_moment();
  if (by.clock_at == next) return;
  by.clock_at = next;
  by.clock.expires_at(next == kNever ? Clock::time_point::max() : Clock::time_point(next.time_since_epoch()));
  by.clock.async_wait([this](const boost::system::error_code& changed) {
    if (changed || !by_asio_) return;
    by_asio_->clock_at.reset();
    ring(monotonic_now());
    set_clock();
  });
}

Result<void> Readiness::serve_asio() {
  if (asio_) return {};
  asio_ = epoll_of(executor_);
  if (asio_ && (!sleeps_ || watch_asio())) return {};
  asio_.reset();
  return fail_errno("cannot wait for Asio's sockets", errno);
}

bool Readiness::watch_asio() { return watch(epoll_.get(), *asio_, kAsio, EPOLLIN); }

void Readiness::post_behind_sockets(std::move_only_function<void()> handler) {
  // Asio looks at the instance before each round of handlers.
  if (!sleeps_) return asio::post(executor_, std::move(handler));
  held_back_.push_back(std::move(handler));
  hold_work();
}

void Readiness::post_first_held_back() {
  asio::post(executor_, std::move(held_back_.front()));
  held_back_.pop_front();
}

// A turn of one of them, and then the sockets again: however many have always more to do, who waits for a
// socket waits for one of them. But where that took longer than a turn they have as long: else a crowd of
// small messages would leave little to who moves a lot.
void Readiness::share_with_held_back() {
  const Instant now = monotonic_now();
  ring(now);
  if (served_since_) {
    turns_until_ = now + std::min<Duration>(now - *std::exchange(served_since_, std::nullopt), kMostTurns);
  } else if (now >= turns_until_) {
    if (const int count = look(); count > 0) {
      served_since_ = now;
      return dispatch(count);
    }
  }
  post_first_held_back();
}

// Or the io_context would have something to wait for. (sleep() gives up work_: the last one to go may stop
// the context, and here somebody may be about to wait again.)
void Readiness::disarm_if_idle() {
  if (waiting_ > 0 || !by_asio_ || !by_asio_->armed) return;
  boost::system::error_code ignored;
  by_asio_->watched.cancel(ignored);
}

void Readiness::shutdown() {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    for (const Direction direction : {Direction::in, Direction::out})
      if (Waiter* const waiter = take(entries_[i], direction)) waiter->dropped();
  }
  while (!alarms_.empty()) {
    Alarm& alarm = *alarms_.begin();
    alarms_.erase(alarms_.begin());
    alarm.dropped();  // which may be its end, and that of others
  }
  by_asio_.reset();
  work_.reset();
}

Readiness::Entry* Readiness::find(Watch watch) {
  if (watch.index >= entries_.size()) return nullptr;
  Entry& entry = entries_[watch.index];
  return entry.in_use && entry.generation == watch.generation ? &entry : nullptr;
}

const Readiness::Entry* Readiness::find(Watch watch) const {
  return const_cast<Readiness*>(this)->find(watch);
}

Readiness::Waiter* Readiness::take(Entry& entry, Direction direction) {
  Waiter* const waiter = std::exchange(entry.waiters[std::to_underlying(direction)], nullptr);
  if (waiter != nullptr) --waiting_;
  return waiter;
}

void Readiness::hold_work() {
  if (!work_) work_.emplace(executor_);
}

void Readiness::arm() {
  if (sleeps_) return hold_work();
  ByAsio& by = by_asio();
  if (by.armed) return;
  boost::system::error_code error;
  if (!by.watched.is_open()) by.watched.assign(epoll_.get(), error);
  if (error) return;
  by.armed = true;
  by.watched.async_wait(asio::posix::descriptor_base::wait_read,
                        [this](const boost::system::error_code& failed) {
                          if (by_asio_) by_asio_->armed = false;
                          if (!failed) dispatch(look());
                          if (waiting_ > 0) arm();
                        });
}

Readiness::ByAsio& Readiness::by_asio() {
  if (!by_asio_) by_asio_ = std::make_unique<ByAsio>(executor_);
  return *by_asio_;
}

bool Readiness::begin_sleeps() {
  if (failure_ != 0) return false;
  by_asio_.reset();  // neither can watch the other while that is watching it
  if (asio_ && !watch_asio()) return false;
  sleeps_ = true;
  if (waiting_ > 0 || !alarms_.empty()) hold_work();
  return true;
}

void Readiness::end_sleeps() {
  epoll_event none = {};
  if (asio_) (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, *asio_, &none);
  sleeps_ = false;
  while (!held_back_.empty()) post_first_held_back();
  work_.reset();
  if (waiting_ > 0) arm();
  set_clock();
}

void Readiness::sleep() {
  if (!held_back_.empty()) return share_with_held_back();
  served_since_.reset();
  if (waiting_ == 0 && alarms_.empty() && work_) return work_.reset();
  int count = 0;
  if (look_policy_.wants_to_look()) {
    const Instant until = std::min(woke_at_ + kLook, next_moment());
    while ((count = look()) == 0 && monotonic_now() < until) ::sched_yield();
  }
  if (count == 0) count = wait_for_events();
  // By a signal, or since the process was stopped: what came meanwhile is heard before timers are.
  if (count < 0) count = look();
  const Instant now = monotonic_now();
  look_policy_.round(now - std::exchange(woke_at_, now));
  dispatch(count);
  ring(now);
}

int Readiness::wait_for_events() {
  constexpr int kMost = static_cast<int>(kAtOnce);
  const Instant until = next_moment();
  if (until == kNever) return ::epoll_wait(epoll_.get(), events_.data(), kMost, -1);
  const Duration left = std::max(until - monotonic_now(), Duration::zero());
  if (has_fine_wait_) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    timespec time = {};
    time.tv_sec = seconds.count();
    time.tv_nsec = std::chrono::nanoseconds(left - seconds).count();
    const int count = ::epoll_pwait2(epoll_.get(), events_.data(), kMost, &time, nullptr);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
    has_fine_wait_ = false;  // before Linux 5.11, or by a filter of system calls that does not know it
  }
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24);
  const auto rounded = std::min(std::chrono::ceil<std::chrono::milliseconds>(left), kLongest);
  return ::epoll_wait(epoll_.get(), events_.data(), kMost, static_cast<int>(rounded.count()));
}

void Readiness::wake() {
  if (!hears_wake_.exchange(false)) return;
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);  // edge-triggered: nobody reads it
}

int Readiness::look() { return ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(kAtOnce), 0); }

void Readiness::dispatch(int count) {
  for (int i = 0; i < count; ++i) dispatch(events_[static_cast<std::size_t>(i)]);
}

void Readiness::dispatch(const epoll_event& event) {
  const Watch watch = from_data(event.data.u64);
  Entry* const entry = find(watch);
  if (entry == nullptr) return;  // was removed by somebody before it in this batch
  if ((event.events & kEnd) != 0) entry->has_ended = true;
  if ((event.events & EPOLLERR) != 0) entry->error_seen = true;
  if ((event.events & EPOLLPRI) != 0) entry->is_urgent = true;
  if ((event.events & kEnd) == EPOLLRDHUP) entry->has_sent_end = true;
  bool is_heard = false;  // by who reads
  for (const auto& [direction, bits] :
       {std::pair(Direction::in, kReadable), std::pair(Direction::out, kWritable)}) {
    if ((event.events & bits) == 0) continue;
    const bool was_known = std::exchange(entry->ready[std::to_underlying(direction)], true);
    Waiter* const waiter = take(*entry, direction);
    // Whoever waits until others take what he has read would be woken for each packet that comes meanwhile.
    if (waiter == nullptr && was_known && bits == kReadable && entry->kind == Kind::tcp && !entry->is_deaf) {
      entry->is_deaf = true;
      if (!tell_kernel(EPOLL_CTL_MOD, *entry, watch)) entry->is_deaf = false;
    }
    if (waiter == nullptr) continue;
    is_heard |= direction == Direction::in;
    waiter->ready();
    if (find(watch) != entry) return;
  }
  if ((event.events & EPOLLERR) == 0 || is_heard || entry->has_sent_end) return;
  if (FailureListener* const listener = std::exchange(entry->failure_listener, nullptr))
    listener->socket_failed();
}

}  // namespace culvert::net
