// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>

#include "base/bytes.hpp"

namespace culvert {

/// CRC32c (Castagnoli; RFC 9260 appendix A) of all parts, one behind the other.
[[nodiscard]] std::uint32_t crc32c(std::initializer_list<ByteView> parts);

}  // namespace culvert
