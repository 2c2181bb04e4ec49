// SPDX-License-Identifier: Apache-2.0
#include "net/listen_error.hpp"

#include <cerrno>
#include <system_error>

#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "net/socket.hpp"
#include "net/udp_socket.hpp"

namespace culvert::net {

namespace ip = boost::asio::ip;

namespace {

constexpr int kSearched =
    1024;  // descriptors: who listens for a plan opens them early, and peers may ask often

int option_of(int socket, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return ::getsockopt(socket, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

// Whether a socket of this process takes what comes to `endpoint`. One that is about to try is none.
template <class Protocol>
bool is_our_own(const ip::basic_endpoint<Protocol>& endpoint) {
  const Protocol protocol = endpoint.protocol();
  for (int fd = STDERR_FILENO + 1; fd < kSearched; ++fd) {
    if (option_of(fd, SO_TYPE) != protocol.type() || option_of(fd, SO_DOMAIN) != protocol.family()) continue;
    ip::basic_endpoint<Protocol> local, peer;
    auto length = static_cast<socklen_t>(local.capacity());
    if (::getsockname(fd, local.data(), &length) != 0 || local.port() != endpoint.port()) continue;
    length = static_cast<socklen_t>(peer.capacity());
    const bool listens = protocol.type() == SOCK_STREAM ? option_of(fd, SO_ACCEPTCONN) == 1
                                                        : ::getpeername(fd, peer.data(), &length) != 0;
    const bool overlaps = local.address() == endpoint.address() || local.address().is_unspecified() ||
                          endpoint.address().is_unspecified();
    if (listens && overlaps) return true;
  }
  return false;
}

template <class Protocol>
std::unexpected<Error> cannot_listen_at(const ip::basic_endpoint<Protocol>& endpoint, const std::string& name,
                                        std::string_view list_sockets, int error) {
  switch (error) {
    case EACCES:
      if (endpoint.port() == 0 || endpoint.port() >= 1024) break;
      return cannot_listen(
          name,
          fmt::format("permission denied (ports below 1024 need CAP_NET_BIND_SERVICE; try {})",
                      endpoint.port() + 8000),
          error);
    case EADDRINUSE:
      if (is_our_own(endpoint))
        return cannot_listen(name, "address already in use (this culvert listens there already)", error);
      // Not only by a listener: an outgoing connection may have the port.
      return cannot_listen(name,
                           fmt::format("address already in use ('{} sport = :{}' shows by whom)",
                                       list_sockets, endpoint.port()),
                           error);
    case EADDRNOTAVAIL:
      return cannot_listen(name, "no interface has this address ('ip address' shows those that there are)",
                           error);
    case EAFNOSUPPORT:
      return cannot_listen(
          name, endpoint.address().is_v6() ? "IPv6 is switched off here" : "IPv4 is switched off here",
          error);
    default:
      break;
  }
  return cannot_listen(name, std::generic_category().message(error), error);
}

}  // namespace

std::unexpected<Error> cannot_listen(const std::string& name, std::string_view cause, int errno_value) {
  return fail(Errc::system, fmt::format("cannot listen on {}: {}", name, cause), errno_value);
}

std::unexpected<Error> cannot_listen(const ip::tcp::endpoint& endpoint, int errno_value) {
  return cannot_listen_at(endpoint, to_text(endpoint), "ss -tanp", errno_value);
}

std::unexpected<Error> cannot_listen(const ip::udp::endpoint& endpoint, int errno_value) {
  return cannot_listen_at(endpoint, "udp " + to_text(endpoint), "ss -uanp", errno_value);
}

}  // namespace culvert::net
