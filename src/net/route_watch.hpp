// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/netlink_watch.hpp"

namespace culvert::net {

/// The interfaces whose link, addresses or routes have changed.
class RouteChange {
 public:
  [[nodiscard]] bool is_of(unsigned interface) const { return is_of_all_ || interfaces_.contains(interface); }
  /// One datagram of rtnetlink(7).
  void add(ByteView datagram);
  /// It is not known which: all of them.
  void add_all() { is_of_all_ = true; }

 private:
  std::set<unsigned> interfaces_;
  bool is_of_all_ = false;
};

/// Tells when links, addresses or routes of this machine have changed (rtnetlink(7)). How they are now,
/// whoever waits looks for himself.
class RouteWatch {
 public:
  /// Errc::system where the system does not tell (a sandbox).
  [[nodiscard]] static Result<RouteWatch> open(const boost::asio::any_io_executor& executor);

  /// Waits for a change; what came before the call counts. None after close().
  [[nodiscard]] boost::asio::awaitable<std::optional<RouteChange>> changed();
  void close() { watch_.close(); }

 private:
  explicit RouteWatch(NetlinkWatch watch) : watch_(std::move(watch)) {}
  NetlinkWatch watch_;
};

}  // namespace culvert::net
