// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace culvert::daemon {

/// Parts of the rights of root (capabilities(7)), a bit each. They belong to a thread; those that it starts
/// get the same.
using Capabilities = std::uint64_t;

inline constexpr Capabilities kNoCapabilities = 0;
inline constexpr Capabilities kReadFiles = 1U << 2;     ///< CAP_DAC_READ_SEARCH
inline constexpr Capabilities kBindService = 1U << 10;  ///< CAP_NET_BIND_SERVICE
inline constexpr Capabilities kNetAdmin = 1U << 12;     ///< CAP_NET_ADMIN
inline constexpr Capabilities kNetRaw = 1U << 13;       ///< CAP_NET_RAW

/// What this thread has or could have. Errc::system.
[[nodiscard]] Result<Capabilities> permitted_capabilities();

/// From now on this thread has those of `wanted` that it is permitted, and no others, nor can it get them
/// back. Errc::system.
[[nodiscard]] Result<void> keep_capabilities(Capabilities wanted);

/// "CAP_NET_RAW, CAP_NET_BIND_SERVICE", of the ones above.
[[nodiscard]] std::string to_string(Capabilities capabilities);

}  // namespace culvert::daemon
