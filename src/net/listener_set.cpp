// SPDX-License-Identifier: Apache-2.0
#include "net/listener_set.hpp"

#include <cerrno>
#include <optional>
#include <utility>

#include "base/log.hpp"

namespace culvert::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;

constexpr int kTriesForOnePort = 16;

bool is_missing_address(const Error& error) {
  return error.code == Errc::system && (error.detail == EADDRNOTAVAIL || error.detail == EAFNOSUPPORT);
}

std::uint16_t port_of(const Listener& listener) { return listener.port(); }
std::uint16_t port_of(const UdpListener& listener) { return listener.local.port(); }

template <class Made, class Endpoint, class Listen>
Result<std::vector<Made>> listen_on(std::vector<Endpoint> endpoints, const Listen& listen, Needed needed) {
  std::vector<Made> listeners;
  std::optional<Error> missing;
  std::uint16_t chosen = 0;
  for (Endpoint& endpoint : endpoints) {
    if (endpoint.port() == 0) endpoint.port(chosen);
    Result<Made> listener = listen(endpoint);
    if (listener) {
      chosen = port_of(*listener);
      listeners.push_back(std::move(*listener));
    } else if (is_missing_address(listener.error()) &&
               (needed == Needed::any || &endpoint != &endpoints.front())) {
      log(LogLevel::verbose, "{}", listener.error().message);
      missing = std::move(listener.error());
    } else {
      return std::unexpected(std::move(listener.error()));
    }
  }
  if (listeners.empty() && missing) return std::unexpected(std::move(*missing));
  if (listeners.empty()) return fail(Errc::not_found, "cannot listen: there is no address to listen on");
  return listeners;
}

// A port that the kernel chose for one address may be taken on the next: then another one is tried.
template <class Made, class Endpoint, class Listen>
Result<std::vector<Made>> listen_on_one_port(const std::vector<Endpoint>& endpoints, const Listen& listen,
                                             Needed needed) {
  const bool any_port = !endpoints.empty() && endpoints.front().port() == 0;
  for (int tries = 1;; ++tries) {
    auto listeners = listen_on<Made>(endpoints, listen, needed);
    const bool is_taken = !listeners && any_port && listeners.error().detail == EADDRINUSE;
    if (!is_taken || tries == kTriesForOnePort) return listeners;
  }
}

}  // namespace

Result<std::vector<Listener>> listen_on_all(const asio::any_io_executor& executor,
                                            const std::vector<tcp::endpoint>& endpoints, const Binder& bind,
                                            Needed needed) {
  const auto listen = [&](const tcp::endpoint& endpoint) {
    return Listener::listen_tcp(executor, endpoint, bind);
  };
  return listen_on_one_port<Listener>(endpoints, listen, needed);
}

Result<std::vector<UdpListener>> listen_on_all(const std::vector<udp::endpoint>& endpoints,
                                               const UdpListen& listen) {
  return listen_on_one_port<UdpListener>(endpoints, listen, Needed::any);
}

}  // namespace culvert::net
