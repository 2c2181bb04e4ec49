// SPDX-License-Identifier: Apache-2.0
#include "net/route_watch.hpp"

#include <cstdint>

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "net/netlink.hpp"

namespace culvert::net {

namespace asio = boost::asio;

void RouteChange::add(ByteView datagram) {
  netlink::for_each_message(datagram, [this](const nlmsghdr& head, ByteView payload) {
    if (const auto link = netlink::read_as<ifinfomsg>(payload);
        link && (head.nlmsg_type == RTM_NEWLINK || head.nlmsg_type == RTM_DELLINK)) {
      interfaces_.insert(static_cast<unsigned>(link->ifi_index));
    } else if (const auto address = netlink::read_as<ifaddrmsg>(payload);
               address && (head.nlmsg_type == RTM_NEWADDR || head.nlmsg_type == RTM_DELADDR)) {
      interfaces_.insert(address->ifa_index);
    } else if (head.nlmsg_type == RTM_NEWROUTE || head.nlmsg_type == RTM_DELROUTE) {
      netlink::for_each_attribute(netlink::behind(payload, sizeof(rtmsg)),
                                  [this](std::uint16_t type, ByteView value) {
                                    if (type == RTA_OIF)
                                      interfaces_.insert(netlink::read_as<std::uint32_t>(value).value_or(0));
                                    if (type == RTA_MULTIPATH) add_all();
                                  });
    }
    return true;
  });
}

Result<RouteWatch> RouteWatch::open(const asio::any_io_executor& executor) {
  constexpr std::uint32_t kGroups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
  return RouteWatch(TRY(NetlinkWatch::open(executor, "routes", NETLINK_ROUTE, kGroups)));
}

asio::awaitable<std::optional<RouteChange>> RouteWatch::changed() {
  if (!co_await watch_.told()) co_return std::nullopt;
  RouteChange change;  // all of it is one
  if (!watch_.take([&change](ByteView datagram) { change.add(datagram); })) change.add_all();
  co_return change;
}

}  // namespace culvert::net
