// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "base/result.hpp"

namespace culvert::net {

/// A router that this machine reaches the rest of the world by.
struct DefaultRoute {
  boost::asio::ip::address gateway;  ///< with its zone, if it is link-local
  boost::asio::ip::address
      here;  ///< what this machine is called on the way there; IPv6: by everybody else, too
  std::string interface;
  unsigned index = 0;  ///< of the interface
  bool operator==(const DefaultRoute&) const = default;
};

/// Those of the main table (rtnetlink(7)), those that are preferred first; each router once. Left out: routes
/// without a router, and interfaces without an address to be known by: of IPv6, that is a global one which
/// stays (no temporary one, RFC 8981). Errc::system, with the cause alone.
[[nodiscard]] Result<std::vector<DefaultRoute>> default_routes();

}  // namespace culvert::net
