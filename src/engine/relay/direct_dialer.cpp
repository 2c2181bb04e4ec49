// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/direct_dialer.hpp"

#include <type_traits>

#include "engine/relay/judged_listen.hpp"
#include "engine/relay/socket_stream.hpp"
#include "net/addresses.hpp"

namespace culvert::relay {

namespace asio = boost::asio;

namespace {

template <class Socket, class Failure>
Dialed dialed(std::expected<Socket, Failure> socket) {
  if (socket) return std::make_unique<SocketStream>(std::move(*socket), SocketStream::Expects::nothing);
  if constexpr (std::is_same_v<Failure, Error>) {
    return std::unexpected(connect_failed(socket.error()));
  } else {
    return std::unexpected(std::move(socket).error());
  }
}

}  // namespace

Task<Dialed> DirectDialer::dial(const Endpoint& destination, const Visit& visit) {
  if (const auto* unix_path = std::get_if<UnixPath>(&destination))
    co_return dialed(co_await net::connect_unix(unix_path->path, options_.attempt_timeout));
  co_return dialed(co_await connect_judged(resolver_, std::get<HostPort>(destination), family_,
                                           options_for(visit), judge_, requester_of(visit.origin())));
}

net::ConnectOptions DirectDialer::options_for(const Visit& visit) const {
  net::ConnectOptions options = options_;
  if (!options.transparent) return options;
  const auto address = address_of(visit.origin());
  options.transparent = address.has_value();
  if (address) options.bind_addresses = {net::asio_address_of(*address)};
  return options;
}

std::optional<asio::ip::address> DirectDialer::source() const {
  if (options_.bind_addresses.empty()) return std::nullopt;
  return options_.bind_addresses.front();
}

std::expected<void, DialError> DirectDialer::judge(const asio::ip::udp::endpoint& destination,
                                                   const Endpoint&) {
  if (const auto from = source(); from && from->is_v4() != destination.address().is_v4()) {
    return std::unexpected(
        DialError{Refusal::unreachable, "not of the family of the source, " + from->to_string()});
  }
  if (!judge_) return {};
  const std::string host = destination.address().to_string();
  for (const auto& resolved :
       {std::optional<IpAddress>(), std::optional(net::ip_address_of(destination.address()))}) {
    if (const auto decision = judge_(host, destination.port(), resolved); !decision)
      return std::unexpected(not_permitted(decision));
  }
  return {};
}

Task<DatagramCarrier::Found> DirectDialer::look_up(HostPort destination, Endpoint origin) {
  net::Family family = family_;
  if (const auto from = source()) family = from->is_v4() ? net::Family::ipv4 : net::Family::ipv6;
  auto addresses =
      co_await resolve_judged(resolver_, std::move(destination), family, judge_, requester_of(origin));
  if (!addresses) co_return std::unexpected(std::move(addresses).error());
  std::vector<asio::ip::udp::endpoint> found;
  for (const auto& one : *addresses) found.emplace_back(one.address(), one.port());
  co_return found;
}

Task<Bound> DirectDialer::listen_for(Endpoint peer, Endpoint origin) {
  return listen_judged(resolver_, std::get<HostPort>(std::move(peer)), family_, options_, judge_,
                       requester_of(origin));
}

}  // namespace culvert::relay
