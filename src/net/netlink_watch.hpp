// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/watched_fd.hpp"

namespace culvert::net {

/// Hears what the kernel tells groups of netlink(7) when something has changed.
class NetlinkWatch {
 public:
  /// `groups`: a bit for each, the lowest for the first. Errc::system, "cannot watch WHAT: ...", with its
  /// errno in `detail`.
  [[nodiscard]] static Result<NetlinkWatch> open(const boost::asio::any_io_executor& executor,
                                                 std::string_view what, int protocol, std::uint32_t groups);

  /// Waits until something was told; what came before the call counts. False after close().
  [[nodiscard]] boost::asio::awaitable<bool> told();
  /// Takes all that was told by now: `visit` is given each datagram, as long as the call. False: some of it
  /// got lost, since there was too much.
  [[nodiscard]] bool take(const std::function<void(ByteView)>& visit);
  void close();

 private:
  explicit NetlinkWatch(WatchedFd socket) : socket_(std::move(socket)) {}
  WatchedFd socket_;
};

}  // namespace culvert::net
