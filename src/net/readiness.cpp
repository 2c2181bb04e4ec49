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
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>

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

asio::execution_context::id Readiness::id;

Readiness::Readiness(asio::execution_context& context)
    : service(context),
      executor_(executor_of(context)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      failure_(epoll_ ? 0 : errno),
      asio_(epoll_of(executor_)) {}

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

void Readiness::post_behind_sockets(std::move_only_function<void()> handler) {
  // Asio looks at the instance before each round of handlers.
  if (!sleeps_) return asio::post(executor_, std::move(handler));
  held_back_.push_back(std::move(handler));
  if (!work_) work_.emplace(executor_);
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
  if (waiting_ > 0 || !armed_ || !watched_) return;
  boost::system::error_code ignored;
  watched_->cancel(ignored);
}

void Readiness::shutdown() {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    for (const Direction direction : {Direction::in, Direction::out})
      if (Waiter* const waiter = take(entries_[i], direction)) waiter->dropped();
  }
  give_up_watch();
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

void Readiness::arm() {
  if (sleeps_) {
    if (!work_) work_.emplace(executor_);
    return;
  }
  if (armed_) return;
  boost::system::error_code error;
  if (!watched_) {
    watched_.emplace(executor_);
    watched_->assign(epoll_.get(), error);
    if (error) return watched_.reset();
  }
  armed_ = true;
  watched_->async_wait(asio::posix::descriptor_base::wait_read,
                       [this](const boost::system::error_code& failed) {
                         armed_ = false;
                         if (!failed) dispatch(look());
                         if (waiting_ > 0) arm();
                       });
}

// Asio would close it.
void Readiness::give_up_watch() {
  if (watched_) (void)watched_->release();
  watched_.reset();
}

bool Readiness::begin_sleeps() {
  if (failure_ != 0 || !asio_) return false;
  if (!wake_) {
    wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake_ || !watch(epoll_.get(), wake_.get(), kWake, EPOLLIN | EPOLLET)) {
      wake_.reset();
      return false;
    }
  }
  give_up_watch();  // neither can watch the other while that is watching it
  sleeps_ = watch(epoll_.get(), *asio_, kAsio, EPOLLIN);
  if (waiting_ > 0) arm();
  return sleeps_;
}

void Readiness::end_sleeps() {
  epoll_event none = {};
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, *asio_, &none);
  sleeps_ = false;
  while (!held_back_.empty()) post_first_held_back();
  work_.reset();
  if (waiting_ > 0) arm();
}

void Readiness::sleep() {
  if (!held_back_.empty()) return share_with_held_back();
  served_since_.reset();
  if (waiting_ == 0 && work_) return work_.reset();
  int count = 0;
  if (look_policy_.wants_to_look()) {
    const Instant until = woke_at_ + kLook;
    while ((count = look()) == 0 && monotonic_now() < until) ::sched_yield();
  }
  if (count == 0) count = ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(kAtOnce), -1);
  // By a signal, or since the process was stopped: what came meanwhile is heard before timers are.
  if (count < 0) count = look();
  const Instant now = monotonic_now();
  look_policy_.round(now - std::exchange(woke_at_, now));
  dispatch(count);
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
