// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include <sys/epoll.h>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "base/result.hpp"

namespace culvert::net {

/// Many sockets of which whoever reads them is one coroutine: an epoll instance that Asio watches. A socket
/// costs one system call when it is added, and none each time it is waited for.
class ReadySet {
 public:
  explicit ReadySet(const boost::asio::any_io_executor& executor);

  /// From now on ready() names `owner` while `socket` can be read or has an error. Errc::system: ENOSPC is
  /// the user's limit of watches. Ends when the socket is closed.
  [[nodiscard]] Result<void> add(int socket, void* owner);

  struct Ready {
    void* owner;
    bool has_error;
  };
  /// Who is ready now; a part of them if there are many, and another part next time. As long as until the
  /// next call. One system call.
  [[nodiscard]] std::span<const Ready> ready();

  /// Waits until somebody is. Errc::cancelled after close() or Asio cancellation.
  [[nodiscard]] boost::asio::awaitable<Result<void>> wait();
  /// wait() returns, and add() fails. Any number of times.
  void close();

 private:
  static constexpr std::size_t kAtOnce = 256;

  boost::asio::posix::stream_descriptor epoll_;
  std::array<epoll_event, kAtOnce> events_;
  std::array<Ready, kAtOnce> ready_;
};

}  // namespace culvert::net
