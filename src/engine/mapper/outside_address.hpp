// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/ip_address.hpp"

namespace culvert::mapper {

/// Why nobody can reach a router at this address, which it says is its own outside, and what to do; empty if
/// somebody can. IPv6 is reached.
[[nodiscard]] std::string why_unreachable(const IpAddress& outside);

}  // namespace culvert::mapper
