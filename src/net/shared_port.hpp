// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <cstdint>

#include <sys/socket.h>

namespace culvert::net {

/// Who else is at the port of a socket. The kernel spreads connections, and the clients of datagrams, over
/// those that share one (SO_REUSEPORT), each on a thread of its own, by a hash of both ends' addresses: a
/// client stays with its socket as long as none comes or goes.
enum class Shares : std::uint8_t { nothing, first, another };

/// Binds `socket` to `endpoint`, of Asio's. The first of those that share a port is bound as one that shares
/// nothing, so that a port in use is refused, also if another culvert shares it among its own threads.
/// Returns 0, or errno.
template <class Endpoint>
[[nodiscard]] int bind_socket(int socket, const Endpoint& endpoint, Shares shares = Shares::nothing) {
  const auto share = [socket] {
    const int on = 1;
    return ::setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
  };
  if (shares == Shares::another && !share()) return errno;
  if (::bind(socket, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0) return errno;
  if (shares == Shares::first && !share()) return errno;
  return 0;
}

}  // namespace culvert::net
