// SPDX-License-Identifier: Apache-2.0
#include "daemon/own_listeners.hpp"

#include <algorithm>

#include "net/addresses.hpp"

namespace culvert::daemon {

void OwnListeners::add(const IpAddress& address, std::uint16_t port) {
  const auto at = std::ranges::lower_bound(places_, port, {}, &Place::port);
  places_.insert(at, {address.normalised(), port});
}

bool OwnListeners::are_reached_at(const IpAddress& address, std::uint16_t port) const {
  const IpAddress to = address.normalised();
  return std::ranges::any_of(std::ranges::equal_range(places_, port, {}, &Place::port), [&](const Place& at) {
    if (at.address == to) return true;
    if (to.is_unspecified()) return at.address.is_v4() == to.is_v4() && net::is_own(at.address);
    return at.address.is_unspecified() && at.address.is_v4() == to.is_v4() && net::is_own(to);
  });
}

}  // namespace culvert::daemon
