// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/result.hpp"
#include "net/netlink_watch.hpp"

namespace culvert::net {

/// Tells when forwarding was switched on or off, for the machine or for an interface (rtnetlink(7),
/// RTM_NEWNETCONF), or when an interface has come or gone. How it is now, whoever waits looks for himself.
class ForwardingWatch {
 public:
  /// Errc::system.
  [[nodiscard]] static Result<ForwardingWatch> open(const boost::asio::any_io_executor& executor);

  /// Waits for a change; what came before the call counts. False after close().
  [[nodiscard]] boost::asio::awaitable<bool> changed();
  void close() { watch_.close(); }

 private:
  explicit ForwardingWatch(NetlinkWatch watch) : watch_(std::move(watch)) {}
  NetlinkWatch watch_;
};

}  // namespace culvert::net
