// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/proxy_header.hpp"

#include <algorithm>

namespace culvert::relay {

using proxyproto::Header;
using proxyproto::InetAddresses;
using proxyproto::UnixAddresses;

namespace {

std::uint16_t port_of(const Endpoint& endpoint) {
  const auto* place = std::get_if<HostPort>(&endpoint);
  return place == nullptr ? std::uint16_t{0} : place->port;
}

IpAddress unspecified_like(const IpAddress& address) {
  return address.is_v4() ? IpAddress() : *IpAddress::from_bytes(Bytes(16));
}

}  // namespace

std::optional<KnownVisit> visit_in(const Header& header) {
  if (header.transport != Header::Transport::stream || header.command == Header::Command::local)
    return std::nullopt;
  if (const auto* inet = std::get_if<InetAddresses>(&header.addresses)) {
    return KnownVisit(HostPort{inet->source.text(), inet->source_port},
                      HostPort{inet->destination.text(), inet->destination_port});
  }
  if (const auto* paths = std::get_if<UnixAddresses>(&header.addresses))
    return KnownVisit(UnixPath{paths->source}, UnixPath{paths->destination});
  return std::nullopt;
}

Header header_of(const Visit& visit) {
  const auto source = address_of(visit.origin());
  if (!source) return {.command = Header::Command::local};
  const Endpoint reached = visit.connected_to().value_or(HostPort{});
  return {.addresses =
              InetAddresses{*source, port_of(visit.origin()),
                            address_of(reached).value_or(unspecified_like(*source)), port_of(reached)}};
}

bool is_trusted_proxy(std::span<const IpNetwork> proxies, const Endpoint& peer) {
  const auto address = address_of(peer);
  return address && std::ranges::any_of(proxies, [&](const IpNetwork& network) {
           return network.normalised().contains(*address);
         });
}

}  // namespace culvert::relay
