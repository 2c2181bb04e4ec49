// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "base/result.hpp"

namespace culvert::net {

class NetlinkSocket;

/// How the kernel would send to an address.
struct Route {
  bool is_local = false;             ///< the address is one of this machine
  std::string interface;             ///< empty: none (a blackhole)
  std::optional<IpAddress> gateway;  ///< the router that it is behind; none: it is on the link
};

/// Asks rtnetlink(7), without sending anything. Errc::system with the cause alone ("Network is unreachable").
[[nodiscard]] Result<Route> route_to(const IpAddress& address);
[[nodiscard]] Result<Route> route_to(NetlinkSocket& socket, const IpAddress& address);

/// The interfaces of the default routes of that family: where strangers come from. None if nothing is known.
[[nodiscard]] std::vector<std::string> default_interfaces(bool is_v4);

}  // namespace culvert::net
