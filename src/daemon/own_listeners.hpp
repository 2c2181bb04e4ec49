// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "daemon/plan.hpp"

namespace culvert::daemon {

/// Where we listen, so that a forward is not led back to ourselves: each stream would ask for the next one
/// until nothing is left. Streams and datagrams do not meet: one of these for each.
class OwnListeners {
 public:
  /// An unspecified address stands for every one of this machine's.
  void add(const IpAddress& address, std::uint16_t port);

  /// Whether a connection to `address` would arrive at one of them.
  [[nodiscard]] bool are_reached_at(const IpAddress& address, std::uint16_t port) const;

 private:
  struct Place {
    IpAddress address;
    std::uint16_t port;
  };
  std::vector<Place> places_;  // by port
};

}  // namespace culvert::daemon
