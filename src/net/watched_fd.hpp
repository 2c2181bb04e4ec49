// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/result.hpp"
#include "net/readiness.hpp"
#include "net/readiness_wait.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

/// A descriptor, and that it can be read is waited for: a pipe, an eventfd, a pidfd, netlink, a terminal. For
/// what little comes from: a wait costs a system call, and whoever reads need not say what he met
/// (StreamSocket). All calls on the thread of its io_context, which must outlive it, unless it is closed.
class WatchedFd {
 public:
  WatchedFd() = default;
  WatchedFd(WatchedFd&& other) noexcept { swap(other); }
  WatchedFd& operator=(WatchedFd&& other) noexcept {
    WatchedFd(std::move(other)).swap(*this);
    return *this;
  }
  ~WatchedFd() { close(); }

  /// Owned from here on, also if it fails. Its flags are left as they are. Errc::system: EPERM is a file,
  /// which is always ready.
  [[nodiscard]] static Result<WatchedFd> watch(const boost::asio::any_io_executor& executor, UniqueFd fd);

  [[nodiscard]] bool is_open() const { return static_cast<bool>(fd_); }
  /// -1 if it is not open.
  [[nodiscard]] int get() const { return fd_.get(); }

  /// Until a read would do something. Errc::cancelled after cancel(), close() or Asio cancellation. One
  /// caller at a time.
  [[nodiscard]] boost::asio::awaitable<Result<void>> wait_readable();
  /// The same for a handler, which is called with whether a read would do something; never from inside.
  template <class Handler>
  void async_wait(Handler handler) {
    ask_again();
    async_wait_ready(*readiness_, watch_, Readiness::Direction::in, std::move(handler));
  }

  /// What waits is told so.
  void cancel();
  /// The same, and the end of the descriptor. Any number of times.
  void close();

 private:
  void ask_again();
  void swap(WatchedFd& other) noexcept {
    std::swap(readiness_, other.readiness_);
    std::swap(watch_, other.watch_);
    std::swap(fd_, other.fd_);
    std::swap(was_waited_for_, other.was_waited_for_);
  }

  Readiness* readiness_ = nullptr;
  Readiness::Watch watch_;
  UniqueFd fd_;
  bool was_waited_for_ = false;
};

}  // namespace culvert::net
