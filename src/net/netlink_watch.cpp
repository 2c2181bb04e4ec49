// SPDX-License-Identifier: Apache-2.0
#include "net/netlink_watch.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <linux/netlink.h>

#include "net/unique_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kLongest = 64 * 1024;

}  // namespace

Result<NetlinkWatch> NetlinkWatch::open(const asio::any_io_executor& executor, std::string_view what,
                                        int protocol, std::uint32_t groups) {
  const auto failed = [what] { return fail_errno("cannot watch " + std::string(what), errno); };
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (!socket) return failed();
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  sockaddr generic{};
  static_assert(sizeof address <= sizeof generic);
  std::memcpy(&generic, &address, sizeof address);
  if (::bind(socket.get(), &generic, sizeof address) != 0) return failed();
  return NetlinkWatch(TRY(WatchedFd::watch(executor, std::move(socket))));
}

asio::awaitable<bool> NetlinkWatch::told() {
  const auto readable = co_await socket_.wait_readable();
  co_return readable.has_value() && socket_.is_open();
}

bool NetlinkWatch::take(const std::function<void(ByteView)>& visit) {
  static thread_local std::array<std::uint8_t, kLongest> buffer;
  bool is_whole = true;
  for (;;) {
    const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size > 0) {
      visit(ByteView(buffer).first(static_cast<std::size_t>(size)));
    } else if (size < 0 && errno == ENOBUFS) {
      is_whole = false;
    } else if (size == 0 || errno != EINTR) {
      return is_whole;
    }
  }
}

void NetlinkWatch::close() { socket_.close(); }

}  // namespace culvert::net
