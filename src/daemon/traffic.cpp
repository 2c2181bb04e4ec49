// SPDX-License-Identifier: Apache-2.0
#include "daemon/traffic.hpp"

#include "base/log.hpp"

namespace culvert::daemon {

Traffic& Traffic::operator+=(const Traffic& other) {
  connections += other.connections;
  live += other.live;
  refused += other.refused;
  bytes_to += other.bytes_to;
  bytes_back += other.bytes_back;
  return *this;
}

Traffic traffic_of(const relay::ForwardCounters& counters) {
  return {.connections = counters.accepted,
          .live = counters.live,
          .refused = counters.failed,
          .bytes_to = counters.bytes_out,
          .bytes_back = counters.bytes_in};
}

Traffic traffic_of(const relay::DatagramCounters& counters) {
  return {.connections = counters.flows_ever,
          .live = counters.flows_live,
          .refused = counters.flows_refused,
          .bytes_to = counters.bytes_out,
          .bytes_back = counters.bytes_in};
}

void log_traffic(const std::string& mapping, const Traffic& traffic) {
  log_event(LogLevel::notice, "traffic",
            "{}: {} connections, {} of them live, {} refused, {} bytes to the target, {} back",
            field("mapping", mapping), field("connections", traffic.connections), field("live", traffic.live),
            field("refused", traffic.refused), field("bytes_to", traffic.bytes_to),
            field("bytes_back", traffic.bytes_back));
}

}  // namespace culvert::daemon
