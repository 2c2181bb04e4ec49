// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "base/ip_address.hpp"
#include "engine/mapper/port_keeper.hpp"
#include "net/default_routes.hpp"

namespace culvert::daemon {

/// The ports that the listeners of a plan have: which of them a home router could open.
class BoundPorts {
 public:
  /// `outside`: the router's port that should lead there; 0: the same one.
  void add(const IpAddress& address, gateway::Protocol protocol, std::uint16_t port,
           std::uint16_t outside = 0);
  /// Those that are reached by what comes in on that route: not those of loopback or of another interface.
  /// Each once.
  [[nodiscard]] std::vector<mapper::Port> reached_from(const net::DefaultRoute& route) const;

 private:
  struct Bound {
    IpAddress address;
    mapper::Port port;
  };
  std::vector<Bound> all_;
};

}  // namespace culvert::daemon
