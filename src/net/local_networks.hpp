// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "base/result.hpp"

namespace culvert::net {

/// Whether an interface of this machine that is up has an address in one of these networks, each
/// "ADDRESS/BITS" or an address alone. Loopback does not count. Errc::usage: that is no network, or bits
/// behind the prefix are set; Errc::system.
[[nodiscard]] Result<bool> has_address_in(std::span<const std::string_view> networks);

}  // namespace culvert::net
