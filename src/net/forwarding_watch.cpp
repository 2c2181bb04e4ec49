// SPDX-License-Identifier: Apache-2.0
#include "net/forwarding_watch.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "net/as_tuple.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;

Result<ForwardingWatch> ForwardingWatch::open(const asio::any_io_executor& executor) {
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!socket) return fail_errno("cannot watch forwarding", errno);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1U << (RTNLGRP_IPV4_NETCONF - 1) | 1U << (RTNLGRP_IPV6_NETCONF - 1);
  sockaddr generic{};
  static_assert(sizeof address <= sizeof generic);
  std::memcpy(&generic, &address, sizeof address);
  if (::bind(socket.get(), &generic, sizeof address) != 0)
    return fail_errno("cannot watch forwarding", errno);
  return ForwardingWatch(asio::posix::stream_descriptor(executor, socket.release()));
}

asio::awaitable<bool> ForwardingWatch::changed() {
  const auto [error] = co_await socket_.async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
  if (error || !socket_.is_open()) co_return false;
  // All that waits is one change. Too much of it (ENOBUFS) is one as well.
  std::array<char, 4096> ignored;
  while (::recv(socket_.native_handle(), ignored.data(), ignored.size(), MSG_DONTWAIT) > 0 ||
         errno == ENOBUFS || errno == EINTR) {
  }
  co_return true;
}

void ForwardingWatch::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace culvert::net
