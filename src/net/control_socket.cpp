// SPDX-License-Identifier: Apache-2.0
#include "net/control_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace culvert::net {

Result<std::pair<ControlSocket, ControlSocket>> ControlSocket::make_pair() {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return fail(Errc::system, std::strerror(errno), errno);
  return std::pair(ControlSocket(ends[0]), ControlSocket(ends[1]));
}

void ControlSocket::say(std::string_view words) const {
  (void)::send(socket_.get(), words.data(), words.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

Result<UniqueFd> ControlSocket::share() const {
  UniqueFd second(::fcntl(socket_.get(), F_DUPFD_CLOEXEC, 0));
  if (!second) return fail(Errc::system, std::strerror(errno), errno);
  return second;
}

void ControlSocket::close() const { ::shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace culvert::net
