// SPDX-License-Identifier: Apache-2.0
#include "net/route_watch.hpp"

#include <array>
#include <cerrno>
#include <cstdint>

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <boost/asio/ip/udp.hpp>

#include "net/as_tuple.hpp"
#include "net/netlink.hpp"
#include "net/unique_fd.hpp"

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
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!socket) return fail_errno("cannot watch routes", errno);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
  sockaddr generic{};
  static_assert(sizeof address <= sizeof generic);
  __builtin_memcpy(&generic, &address, sizeof address);
  if (::bind(socket.get(), &generic, sizeof address) != 0) return fail_errno("cannot watch routes", errno);
  return RouteWatch(asio::posix::stream_descriptor(executor, socket.release()));
}

asio::awaitable<std::optional<RouteChange>> RouteWatch::changed() {
  const auto [error] = co_await socket_.async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
  if (error || !socket_.is_open()) co_return std::nullopt;
  // All that waits is one change. Too much of it (ENOBUFS) is one as well.
  RouteChange change;
  std::array<std::uint8_t, 8192> buffer;
  while (true) {
    const ssize_t size = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size > 0) {
      change.add(ByteView(buffer).first(static_cast<std::size_t>(size)));
    } else if (size < 0 && errno == ENOBUFS) {
      change.add_all();
    } else if (size == 0 || errno != EINTR) {
      break;
    }
  }
  co_return change;
}

void RouteWatch::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

bool is_own_address(const asio::ip::address& address) {
  using asio::ip::udp;
  const udp::endpoint here(address, 0);
  const UniqueFd socket(::socket(here.protocol().family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  // Without a socket nothing is known.
  return !socket || ::bind(socket.get(), here.data(), static_cast<socklen_t>(here.size())) == 0 ||
         errno != EADDRNOTAVAIL;
}

}  // namespace culvert::net
