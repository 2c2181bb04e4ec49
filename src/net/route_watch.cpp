// SPDX-License-Identifier: Apache-2.0
#include "net/route_watch.hpp"

#include <array>
#include <cerrno>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <boost/asio/ip/udp.hpp>

#include "net/as_tuple.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;

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

asio::awaitable<bool> RouteWatch::changed() {
  const auto [error] = co_await socket_.async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
  if (error || !socket_.is_open()) co_return false;
  // All that waits is one change. Too much of it (ENOBUFS) is one as well.
  std::array<char, 8192> ignored;
  while (::recv(socket_.native_handle(), ignored.data(), ignored.size(), MSG_DONTWAIT) > 0 ||
         errno == ENOBUFS || errno == EINTR) {
  }
  co_return true;
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
