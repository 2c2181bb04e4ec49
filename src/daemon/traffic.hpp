// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "engine/relay/datagram_forward.hpp"
#include "engine/relay/forward.hpp"

namespace culvert::daemon {

/// What a forward has carried since its start, and what it carries now.
struct Traffic {
  std::uint64_t connections = 0;  ///< streams, or flows of datagrams, those that live too
  std::uint64_t live = 0;
  std::uint64_t refused = 0;
  std::uint64_t bytes_to = 0;    ///< towards targets
  std::uint64_t bytes_back = 0;  ///< back from them

  Traffic& operator+=(const Traffic& other);
  [[nodiscard]] bool operator==(const Traffic&) const = default;
};

[[nodiscard]] Traffic traffic_of(const relay::ForwardCounters& counters);
[[nodiscard]] Traffic traffic_of(const relay::DatagramCounters& counters);

/// The event "traffic". `mapping`: "map 127.0.0.1:8080 -> 10.0.0.5:80".
void log_traffic(const std::string& mapping, const Traffic& traffic);

}  // namespace culvert::daemon
