// SPDX-License-Identifier: Apache-2.0
#include "daemon/open_listeners.hpp"

#include <cerrno>
#include <optional>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "net/listener_set.hpp"

namespace culvert::daemon {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

net::Family net_family(tunnel::AddressFamily family) {
  switch (family) {
    case tunnel::AddressFamily::ipv4:
      return net::Family::ipv4;
    case tunnel::AddressFamily::ipv6:
      return net::Family::ipv6;
    case tunnel::AddressFamily::any:
      break;
  }
  return net::Family::any;
}

std::vector<tcp::endpoint> both(const asio::ip::address& v4, const asio::ip::address& v6, std::uint16_t port,
                                tunnel::AddressFamily family) {
  std::vector<tcp::endpoint> endpoints;
  if (family != tunnel::AddressFamily::ipv6) endpoints.emplace_back(v4, port);
  if (family != tunnel::AddressFamily::ipv4) endpoints.emplace_back(v6, port);
  return endpoints;
}

/// Those that no resolver is asked for.
std::optional<std::vector<tcp::endpoint>> fixed_endpoints_of(const relay::HostPort& where,
                                                             tunnel::AddressFamily family) {
  using asio::ip::address_v4;
  using asio::ip::address_v6;
  if (where.host == "localhost")
    return both(address_v4::loopback(), address_v6::loopback(), where.port, family);
  if (where.host == "*") return both(address_v4::any(), address_v6::any(), where.port, family);
  return std::nullopt;
}

relay::Task<Result<std::vector<tcp::endpoint>>> endpoints_of(const relay::HostPort& where,
                                                             tunnel::AddressFamily family,
                                                             net::Resolver& resolver) {
  if (auto fixed = fixed_endpoints_of(where, family)) co_return *std::move(fixed);
  auto found = co_await resolver.resolve(where.host, where.port, net_family(family));
  if (!found) {
    co_return fail(found.error().code, fmt::format("cannot listen on {}: {}",
                                                   to_string(relay::Endpoint(where)), found.error().message));
  }
  co_return found;
}

}  // namespace

Result<void> check_ports(const ListenSpec& spec) {
  const auto* where = std::get_if<relay::HostPort>(&spec.endpoint);
  if (where == nullptr || where->port == 0) return {};
  const auto endpoints = fixed_endpoints_of(*where, spec.family);
  if (!endpoints) return {};
  for (const tcp::endpoint& endpoint : *endpoints) {
    const auto bound = net::bind_tcp(endpoint);
    if (!bound && (bound.error().detail == EADDRINUSE || bound.error().detail == EACCES))
      return std::unexpected(bound.error());
  }
  return {};
}

relay::Task<Result<std::vector<net::Listener>>> open_listeners(const ListenSpec& spec,
                                                               net::Resolver& resolver, net::Binder bind,
                                                               asio::any_io_executor executor) {
  if (!executor) executor = co_await asio::this_coro::executor;
  if (const auto* path = std::get_if<relay::UnixPath>(&spec.endpoint)) {
    auto listener = net::Listener::listen_unix(executor, path->path,
                                               {.unlink_existing = spec.unlink_existing,
                                                .replace_dead = spec.replace_dead,
                                                .mask = spec.socket_mask});
    if (!listener) co_return std::unexpected(std::move(listener.error()));
    std::vector<net::Listener> listeners;
    listeners.push_back(std::move(*listener));
    co_return listeners;
  }
  const auto& where = std::get<relay::HostPort>(spec.endpoint);
  const auto endpoints = co_await endpoints_of(where, spec.family, resolver);
  if (!endpoints) co_return std::unexpected(endpoints.error());
  co_return net::listen_on_all(executor, *endpoints, bind);
}

relay::Task<Result<std::vector<net::UdpListener>>> open_udp_listeners(const ListenSpec& spec,
                                                                      net::Resolver& resolver,
                                                                      net::UdpListen listen) {
  const auto endpoints =
      co_await endpoints_of(std::get<relay::HostPort>(spec.endpoint), spec.family, resolver);
  if (!endpoints) co_return std::unexpected(endpoints.error());
  std::vector<asio::ip::udp::endpoint> places;
  for (const tcp::endpoint& endpoint : *endpoints) places.emplace_back(endpoint.address(), endpoint.port());
  co_return net::listen_on_all(places, listen);
}

}  // namespace culvert::daemon
