// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: what every Sealer does with the parts of a packet.
#pragma once

#include <cstring>
#include <span>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::crypto {

/// packet_length.
inline constexpr std::size_t kLengthSize = 4;

/// Asserts the contract of Sealer::seal.
inline void check_parts(std::span<const ByteView> parts, ByteView out, std::size_t tag_size) {
  CULVERT_ASSERT(!parts.empty() && parts.size() <= kMaxSealParts && parts[0].size() >= kLengthSize);
  std::size_t total = tag_size;
  for (const ByteView part : parts) total += part.size();
  CULVERT_ASSERT(total == out.size());
}

/// A part may lie exactly where its output goes.
inline void copy_part(ByteView part, std::uint8_t* to) {
  if (!part.empty() && part.data() != to) std::memcpy(to, part.data(), part.size());
}

/// One text for all tags that do not fit: how a packet was bad is nobody's business.
[[nodiscard]] inline std::unexpected<Error> bad_tag() {
  return fail(Errc::verification, "a packet arrived damaged or forged (its authentication tag does not fit)");
}

}  // namespace culvert::crypto
