// SPDX-License-Identifier: Apache-2.0
#include "net/readiness.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>

#include "base/assert.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

constexpr unsigned kEnd = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr unsigned kReadable = EPOLLIN | kEnd;
constexpr unsigned kWritable = EPOLLOUT | EPOLLHUP | EPOLLERR;

constexpr Duration kSpin = std::chrono::microseconds(20);
/// Other handlers of the thread get their turn after so many looks.
constexpr int kRounds = 4;
/// Who reads so much at a time is in bulk.
constexpr std::size_t kBulk = std::size_t{16} * 1024;

std::uint64_t to_data(Readiness::Watch watch) {
  return (std::uint64_t{watch.generation} << 32) | watch.index;
}
Readiness::Watch from_data(std::uint64_t data) {
  return {static_cast<std::uint32_t>(data), static_cast<std::uint32_t>(data >> 32)};
}

asio::any_io_executor executor_of(asio::execution_context& context) {
  return static_cast<asio::io_context&>(context).get_executor();
}

}  // namespace

asio::execution_context::id Readiness::id;

Readiness::Readiness(asio::execution_context& context)
    : service(context), executor_(executor_of(context)), epoll_(executor_) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) {
    failure_ = errno;
    return;
  }
  boost::system::error_code error;
  epoll_.assign(epoll.get(), error);
  failure_ = error.value();
  if (!error) (void)epoll.release();
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
  return ::epoll_ctl(epoll_.native_handle(), what, entry.socket, &event) == 0;
}

void Readiness::remove(Watch watch) {
  cancel(watch, Direction::in);
  cancel(watch, Direction::out);
  Entry* const entry = find(watch);
  if (entry == nullptr) return;
  entry->in_use = false;
  free_.push_back(watch.index);
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
  if (!armed_) arm();
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

void Readiness::disarm_if_idle() {
  if (waiting_ > 0 || !armed_) return;
  boost::system::error_code ignored;
  epoll_.cancel(ignored);  // or the io_context would have something to wait for
}

void Readiness::shutdown() {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    for (const Direction direction : {Direction::in, Direction::out})
      if (Waiter* const waiter = take(entries_[i], direction)) waiter->dropped();
  }
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
  armed_ = true;
  slept_at_ = monotonic_now();
  epoll_.async_wait(asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code& error) {
    look_policy_.slept(monotonic_now() - slept_at_);
    go_on(error ? 0 : dispatch_all());
  });
}

// What comes next when so many events were dispatched.
void Readiness::go_on(std::size_t events) {
  armed_ = false;
  if (waiting_ == 0) return;
  if (events < kAtOnce && !look_policy_.wants_to_look()) return arm();
  look_until_ = monotonic_now() + kSpin;
  look_again();
}

// Other handlers of the thread get their turn in between.
void Readiness::look_again() {
  armed_ = true;
  asio::post(executor_, [this] {
    const std::size_t events = dispatch_all();
    if (events > 0) {
      look_policy_.looked(true);
      return go_on(events);
    }
    if (waiting_ > 0 && monotonic_now() < look_until_) return look_again();
    look_policy_.looked(false);
    armed_ = false;
    if (waiting_ > 0) arm();
  });
}

// What came while others were served is served at once: to sleep and be woken takes three calls.
std::size_t Readiness::dispatch_all() {
  std::size_t events = dispatch();
  std::size_t last = events;
  for (int round = 1; round < kRounds && last > 0; ++round) {
    last = dispatch();
    events += last;
  }
  return events;
}

std::size_t Readiness::dispatch() {
  const int count = ::epoll_wait(epoll_.native_handle(), events_.data(), static_cast<int>(kAtOnce), 0);
  for (int i = 0; i < count; ++i) dispatch(events_[static_cast<std::size_t>(i)]);
  return static_cast<std::size_t>(std::max(count, 0));
}

void Readiness::dispatch(const epoll_event& event) {
  const Watch watch = from_data(event.data.u64);
  Entry* const entry = find(watch);
  if (entry == nullptr) return;  // was removed by somebody before it in this batch
  if ((event.events & kEnd) != 0) entry->has_ended = true;
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
