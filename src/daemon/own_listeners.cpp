// SPDX-License-Identifier: Apache-2.0
#include "daemon/own_listeners.hpp"

#include <algorithm>
#include <span>

#include "net/addresses.hpp"

namespace culvert::daemon {
namespace {

// Connecting to 0.0.0.0 or :: reaches the own machine; all of 127.0.0.0/8 is ours without being listed.
bool is_own(const IpAddress& address) {
  if (const auto range = known_range(address))
    if (range->kind == AddressKind::loopback || range->kind == AddressKind::unspecified) return true;
  const auto own = net::own_addresses();
  return std::ranges::find(own, address) != own.end();
}

}  // namespace

void OwnListeners::add(const IpAddress& address, std::uint16_t port) {
  const auto at = std::ranges::lower_bound(places_, port, {}, &Place::port);
  places_.insert(at, {address.normalised(), port});
}

bool OwnListeners::are_reached_at(const IpAddress& address, std::uint16_t port) const {
  const IpAddress to = address.normalised();
  return std::ranges::any_of(std::ranges::equal_range(places_, port, {}, &Place::port), [&](const Place& at) {
    if (at.address == to) return true;
    if (to.is_unspecified()) return at.address.is_v4() == to.is_v4() && is_own(at.address);
    return at.address.is_unspecified() && at.address.is_v4() == to.is_v4() && is_own(to);
  });
}

}  // namespace culvert::daemon
