// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/relay/traffic.hpp"

namespace culvert::daemon {

/// The event "traffic". `mapping`: "map 127.0.0.1:8080 -> 10.0.0.5:80".
void log_traffic(const std::string& mapping, const relay::Traffic& traffic);

}  // namespace culvert::daemon
