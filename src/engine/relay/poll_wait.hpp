// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>

#include "base/result.hpp"
#include "engine/relay/stream.hpp"
#include "net/watched_fd.hpp"

namespace culvert::relay {

/// Waits for a descriptor that other programs share, without touching it: O_NONBLOCK would stay after we are
/// gone and break whoever has the other end of the same open file (a shell, its pipeline). An epoll instance
/// of its own tells, level-triggered, whether it is ready, and that is watched like others.
class PollWait {
 public:
  /// `events`: EPOLLIN or EPOLLOUT. `descriptor` must stay open, and what it is, until close().
  PollWait(const boost::asio::any_io_executor& executor, int descriptor, unsigned events);

  /// Whether it is ready now. One system call.
  [[nodiscard]] bool ready() const;
  /// Level-triggered; at once for files, which are always ready. Errc::cancelled after close() or Asio
  /// cancellation.
  [[nodiscard]] Task<Result<void>> wait();
  /// wait() returns. Any number of times.
  void close();

 private:
  int descriptor_;
  short poll_events_;
  bool always_ready_ = false;
  int failure_ = 0;  ///< errno of what kept it from being watched
  net::WatchedFd epoll_;
};

}  // namespace culvert::relay
