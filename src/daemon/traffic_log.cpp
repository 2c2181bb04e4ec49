// SPDX-License-Identifier: Apache-2.0
#include "daemon/traffic_log.hpp"

#include "base/log.hpp"

namespace culvert::daemon {

void log_traffic(const std::string& mapping, const relay::Traffic& traffic) {
  log_event(LogLevel::notice, "traffic",
            "{}: {} connections, {} of them live, {} refused, {} bytes to the target, {} back",
            field("mapping", mapping), field("connections", traffic.connections), field("live", traffic.live),
            field("refused", traffic.refused), field("bytes_to", traffic.bytes_to),
            field("bytes_back", traffic.bytes_back));
}

}  // namespace culvert::daemon
