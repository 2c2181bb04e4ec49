// SPDX-License-Identifier: Apache-2.0
#include "net/listen_error.hpp"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

#include "net/socket.hpp"
#include "net/udp_socket.hpp"

namespace culvert::net {

namespace ip = boost::asio::ip;

namespace {

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
      return cannot_listen(
          name,
          fmt::format("address already in use (another program listens there; '{}' shows which)",
                      list_sockets),
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
  return cannot_listen_at(endpoint, to_text(endpoint), "ss -ltnp", errno_value);
}

std::unexpected<Error> cannot_listen(const ip::udp::endpoint& endpoint, int errno_value) {
  return cannot_listen_at(endpoint, "udp " + to_text(endpoint), "ss -lunp", errno_value);
}

}  // namespace culvert::net
