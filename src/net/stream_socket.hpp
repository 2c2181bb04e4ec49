// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/readiness.hpp"
#include "net/readiness_wait.hpp"
#include "net/socket.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

/// A connected TCP or Unix socket, non-blocking and close-on-exec. Try first, and wait when the kernel says
/// "not now". All calls on the thread of its io_context, which must outlive it. Like a pointer: moved from,
/// it is not open.
class StreamSocket {
 public:
  using Direction = Readiness::Direction;

  StreamSocket() = default;
  StreamSocket(StreamSocket&& other) noexcept { swap(other); }
  StreamSocket& operator=(StreamSocket&& other) noexcept {
    StreamSocket(std::move(other)).swap(*this);
    return *this;
  }
  ~StreamSocket() { close(); }

  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  /// -1 if it is not open. Who reads or writes there says what it met:
  /// met_not_now(), has_read().
  [[nodiscard]] int native_handle() const { return descriptor_; }
  /// Of one that was opened.
  [[nodiscard]] const boost::asio::any_io_executor& get_executor() const { return readiness_->executor(); }

  /// As try_read() and try_write().
  [[nodiscard]] Transferred read(MutableBytes into);
  [[nodiscard]] Transferred write(std::span<const ByteView> bytes);
  [[nodiscard]] Transferred write(ByteView bytes);
  /// Whether one is worth it, as far as is known.
  [[nodiscard]] bool may_try(Direction direction) const { return readiness_->is_ready(watch_, direction); }
  /// Somebody else's try in that direction was the last one, and met "not now".
  void met_not_now(Direction direction) { readiness_->drained(watch_, direction); }
  /// The same of one that read something.
  void has_read(std::size_t bytes) { readiness_->read(watch_, bytes, bytes); }
  void in_bulk() { readiness_->in_bulk(); }

  /// Whether the peer is known to have ended its direction in order, be it read yet or not.
  [[nodiscard]] bool has_sent_end() const { return readiness_->has_sent_end(watch_); }

  /// Whether urgent bytes were seen: splice() from it may never come past them, read() does.
  [[nodiscard]] bool has_been_urgent() const { return readiness_->has_been_urgent(watch_); }
  /// See Readiness; `listener` must not be destroyed before that ends. Null: nobody.
  void set_failure_listener(Readiness::FailureListener* listener) {
    if (readiness_ != nullptr) readiness_->set_failure_listener(watch_, listener);
  }
  /// Its pending error, which is none afterwards: errno, or 0.
  [[nodiscard]] int take_error();

  /// Calls `handler(bool)` when a try in that direction would do something, be it to report an end or an
  /// error: true. False after cancel(), close() or Asio cancellation of the handler, or if it cannot be
  /// waited for. Never from inside this call. One in each direction at a time.
  template <class Handler>
  void async_wait(Direction direction, Handler handler) {
    async_wait_ready(*readiness_, watch_, direction, std::move(handler));
  }
  /// The same without an allocation: `waiter` stays until one of its functions is called, or forget().
  [[nodiscard]] Result<void> wait(Direction direction, Readiness::Waiter& waiter) {
    return readiness_->wait(watch_, direction, waiter);
  }
  void forget(Direction direction, Readiness::Waiter& waiter) {
    if (readiness_ != nullptr) readiness_->forget(watch_, direction, waiter);
  }
  /// What waits is told so.
  void cancel();
  /// The same, and the end of the socket. Any number of times.
  void close();
  /// What waits is told so, and the socket is not open any more here: its descriptor is for adopt() by
  /// another thread. Of one that is open.
  [[nodiscard]] UniqueFd release();

  friend Result<StreamSocket> adopt(const boost::asio::any_io_executor& executor, int descriptor, int family);

 private:
  void swap(StreamSocket& other) noexcept {
    std::swap(readiness_, other.readiness_);
    std::swap(watch_, other.watch_);
    std::swap(descriptor_, other.descriptor_);
  }
  Transferred wrote(Transferred put);

  Readiness* readiness_ = nullptr;
  Readiness::Watch watch_;
  int descriptor_ = -1;
};

/// Waits until a try would do something, be it to report an end or an error. Errc::cancelled after Asio
/// cancellation, socket.cancel() or socket.close(). Returns at once if nobody has met "not now" since the
/// last wait. Resumes straight from the reactor, without a post.
[[nodiscard]] boost::asio::awaitable<Result<void>> wait_readable(StreamSocket& socket);
[[nodiscard]] boost::asio::awaitable<Result<void>> wait_writable(StreamSocket& socket);

/// Takes over an accepted or connected descriptor, also if it fails, and makes it non-blocking.
[[nodiscard]] Result<StreamSocket> adopt(const boost::asio::any_io_executor& executor, int descriptor);
/// The same for one that is known to be non-blocking, of `family` (AF_INET, AF_INET6, AF_UNIX): fewer system
/// calls.
[[nodiscard]] Result<StreamSocket> adopt(const boost::asio::any_io_executor& executor, int descriptor,
                                         int family);

}  // namespace culvert::net
