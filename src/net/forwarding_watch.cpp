// SPDX-License-Identifier: Apache-2.0
#include "net/forwarding_watch.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

namespace culvert::net {

namespace asio = boost::asio;

Result<ForwardingWatch> ForwardingWatch::open(const asio::any_io_executor& executor) {
  constexpr std::uint32_t kGroups = 1U << (RTNLGRP_IPV4_NETCONF - 1) | 1U << (RTNLGRP_IPV6_NETCONF - 1);
  return ForwardingWatch(TRY(NetlinkWatch::open(executor, "forwarding", NETLINK_ROUTE, kGroups)));
}

asio::awaitable<bool> ForwardingWatch::changed() {
  if (!co_await watch_.told()) co_return false;
  (void)watch_.take([](ByteView) {});  // all of it is one change, and too much of it is one as well
  co_return true;
}

}  // namespace culvert::net
