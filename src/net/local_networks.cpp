// SPDX-License-Identifier: Apache-2.0
#include "net/local_networks.hpp"

#include "base/ip_address.hpp"
#include "net/addresses.hpp"

namespace culvert::net {

Result<bool> has_address_in(std::span<const std::string_view> networks) {
  std::vector<IpNetwork> wanted;
  for (const std::string_view text : networks) {
    auto network = IpNetwork::parse(text);
    if (!network) return fail(Errc::usage, std::move(network.error().message));
    wanted.push_back(*network);
  }
  for (const InterfaceAddress& one : TRY(interface_addresses())) {
    if (!one.is_up || one.is_loopback || !one.address) continue;
    const IpAddress address = ip_address_of(*one.address);
    for (const IpNetwork& network : wanted) {
      if (network.contains(address)) return true;
    }
  }
  return false;
}

}  // namespace culvert::net
