// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/proxy_header.hpp"

#include <utility>

namespace culvert::relay {

using proxyproto::Header;
using proxyproto::InetAddresses;
using proxyproto::UnixAddresses;

namespace {

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
  const auto* from = std::get_if<HostPort>(&visit.origin());
  const auto source = from != nullptr ? ip_address_of(from->host) : std::nullopt;
  if (!source) return {.command = Header::Command::local};
  const auto reached = visit.connected_to();
  const auto* to = reached ? std::get_if<HostPort>(&*reached) : nullptr;
  const auto destination = to != nullptr ? ip_address_of(to->host) : std::nullopt;
  return {.addresses = InetAddresses{*source, from->port, destination.value_or(unspecified_like(*source)),
                                     to != nullptr ? to->port : std::uint16_t{0}}};
}

std::optional<IpAddress> ip_address_of(std::string_view host) {
  return IpAddress::parse(host.substr(0, host.find('%')));
}

}  // namespace culvert::relay
