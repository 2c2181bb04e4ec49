// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/traffic.hpp"

namespace culvert::relay {

Traffic& Traffic::operator+=(const Traffic& other) {
  connections += other.connections;
  live += other.live;
  refused += other.refused;
  bytes_to += other.bytes_to;
  bytes_back += other.bytes_back;
  return *this;
}

Traffic traffic_of(const ForwardCounters& counters) {
  return {.connections = counters.accepted,
          .live = counters.live,
          .refused = counters.failed,
          .bytes_to = counters.bytes_out,
          .bytes_back = counters.bytes_in};
}

Traffic traffic_of(const DatagramCounters& counters) {
  return {.connections = counters.flows_ever,
          .live = counters.flows_live,
          .refused = counters.flows_refused,
          .bytes_to = counters.bytes_out,
          .bytes_back = counters.bytes_in};
}

}  // namespace culvert::relay
