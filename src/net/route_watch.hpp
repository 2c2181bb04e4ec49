// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "base/result.hpp"

namespace culvert::net {

/// Tells when links, addresses or routes of this machine have changed (rtnetlink(7)). What has changed is not
/// said: whoever waits looks for himself.
class RouteWatch {
 public:
  /// Errc::system where the system does not tell (a sandbox).
  [[nodiscard]] static Result<RouteWatch> open(const boost::asio::any_io_executor& executor);

  /// Waits for a change; what came before the call counts. False after close().
  [[nodiscard]] boost::asio::awaitable<bool> changed();
  void close();

 private:
  explicit RouteWatch(boost::asio::posix::stream_descriptor socket) : socket_(std::move(socket)) {}
  boost::asio::posix::stream_descriptor socket_;
};

/// Whether this machine still has `address`: if not, what is bound to it is dead.
[[nodiscard]] bool is_own_address(const boost::asio::ip::address& address);

}  // namespace culvert::net
