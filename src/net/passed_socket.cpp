// SPDX-License-Identifier: Apache-2.0
#include "net/passed_socket.hpp"

#include <cerrno>
#include <cstring>
#include <vector>

#include <sys/socket.h>

#include "net/unique_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

/// More than one, so that none that came is lost in a cut list.
constexpr std::size_t kDescriptorsMost = 8;

struct Message {
  Transferred got;
  std::vector<UniqueFd> descriptors;
  bool is_cut = false;
};

Message receive(int socket) {
  Message out;
  char byte = 0;
  iovec place = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kDescriptorsMost)] = {};
  msghdr header = {};
  header.msg_iov = &place;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t count = 0;
  do {
    count = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    out.got.error = errno;
    return out;
  }
  out.got.bytes = static_cast<std::size_t>(count);
  out.is_cut = (header.msg_flags & MSG_CTRUNC) != 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
      int descriptor = -1;
      std::memcpy(&descriptor, reinterpret_cast<const char*>(part) + at, sizeof descriptor);
      out.descriptors.emplace_back(descriptor);
    }
  }
  return out;
}

Result<void> check_connection(int descriptor) {
  int type = 0;
  socklen_t length = sizeof type;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) != 0)
    return fail(Errc::malformed, "what it passed is no socket");
  if (type != SOCK_STREAM) return fail(Errc::malformed, "what it passed is no stream socket");
  sockaddr_storage peer = {};
  length = sizeof peer;
  if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &length) != 0)
    return fail(Errc::malformed, "the socket that it passed is not connected");
  return {};
}

}  // namespace

asio::awaitable<Result<StreamSocket>> receive_socket(StreamSocket& from) {
  for (;;) {
    auto message = receive(from.native_handle());
    if (message.got.would_block()) {
      if (const auto ready = co_await wait_readable(from); !ready) co_return std::unexpected(ready.error());
      continue;
    }
    // A program that was killed with something of ours unread shows as a reset; it ended all the same.
    if (message.got.error != 0 && message.got.error != ECONNRESET)
      co_return std::unexpected(io_error("", message.got.error));
    if (message.got.bytes == 0) co_return fail(Errc::closed, "it ended without passing a connection");
    if (message.descriptors.empty())
      co_return fail(Errc::malformed, "it wrote data and passed no connection");
    if (message.descriptors.size() > 1 || message.is_cut)
      co_return fail(Errc::malformed, "it passed more than one descriptor");
    UniqueFd& passed = message.descriptors[0];
    CO_TRY(check_connection(passed.get()));
    co_return adopt(from.get_executor(), passed.release());
  }
}

}  // namespace culvert::net
