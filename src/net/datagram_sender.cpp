// SPDX-License-Identifier: Apache-2.0
#include "net/datagram_sender.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>

#include <fmt/format.h>

#include "base/text.hpp"

namespace culvert::net {

Result<DatagramSender> DatagramSender::make(std::string_view name, Duration patience) {
  if (name.size() < 2 || (name[0] != '/' && name[0] != '@')) {
    return fail(Errc::usage, fmt::format("{} is neither a path nor @ and a name", printable(name)));
  }
  DatagramSender sender;
  auto address = UnixAddress::make(name);
  if (!address) return fail(Errc::usage, fmt::format("{}: {}", printable(name), address.error().message));
  sender.address_ = *address;

  sender.socket_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!sender.socket_) return fail_errno("cannot make a socket", errno);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(patience);
  timeval limit{};
  limit.tv_sec = seconds.count();
  limit.tv_usec = (patience - seconds).count();
  if (::setsockopt(sender.socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
    return fail_errno("cannot limit a socket's patience", errno);
  }
  return sender;
}

Result<void> DatagramSender::send(std::string_view datagram, Mode mode) {
  const int flags = MSG_NOSIGNAL | (mode == Mode::at_once ? MSG_DONTWAIT : 0);
  const ssize_t sent =
      ::sendto(socket_.get(), datagram.data(), datagram.size(), flags, address_.get(), address_.size);
  if (sent < 0) return fail_errno("cannot send a datagram", errno);
  return {};
}

}  // namespace culvert::net
