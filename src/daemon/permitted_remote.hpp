// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "engine/relay/endpoint.hpp"
#include "engine/relay/judged_connect.hpp"

namespace culvert::daemon {

/// What a proxy at the server may ask of us (PermitRemoteOpen): nothing permits everything; of a rule, a host
/// "*" permits every host, a port 0 every port. Names are compared as they are given, and nothing that they
/// resolve to is looked at.
[[nodiscard]] relay::ConnectJudge judge_of_remote(std::optional<std::vector<relay::HostPort>> permitted);

}  // namespace culvert::daemon
