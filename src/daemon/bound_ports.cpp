// SPDX-License-Identifier: Apache-2.0
#include "daemon/bound_ports.hpp"

#include <algorithm>

#include "net/addresses.hpp"

namespace culvert::daemon {

void BoundPorts::add(const IpAddress& address, gateway::Protocol protocol, std::uint16_t port,
                     std::uint16_t outside) {
  all_.push_back({address, {protocol, port, outside == 0 ? port : outside}});
}

std::vector<mapper::Port> BoundPorts::reached_from(const net::DefaultRoute& route) const {
  const IpAddress here = net::ip_address_of(route.here);
  std::vector<mapper::Port> ports;
  for (const Bound& one : all_) {
    const bool is_reached =
        one.address == here || (one.address.is_unspecified() && one.address.is_v4() == here.is_v4());
    if (is_reached && std::ranges::find(ports, one.port) == ports.end()) ports.push_back(one.port);
  }
  return ports;
}

}  // namespace culvert::daemon
