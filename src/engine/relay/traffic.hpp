// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/relay/datagram_forward.hpp"
#include "engine/relay/forward.hpp"

namespace culvert::relay {

/// What forwards have carried since their start, and what they carry now.
struct Traffic {
  std::uint64_t connections = 0;  ///< streams, or flows of datagrams, those that live too
  std::uint64_t live = 0;
  std::uint64_t refused = 0;
  std::uint64_t bytes_to = 0;    ///< towards targets
  std::uint64_t bytes_back = 0;  ///< back from them

  Traffic& operator+=(const Traffic& other);
  [[nodiscard]] bool operator==(const Traffic&) const = default;
};

[[nodiscard]] Traffic traffic_of(const ForwardCounters& counters);
[[nodiscard]] Traffic traffic_of(const DatagramCounters& counters);

}  // namespace culvert::relay
