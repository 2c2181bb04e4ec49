// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: X25519 (RFC 7748 section 5) with an ephemeral key, as RFC 8731 and the hybrid use it.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/evp.hpp"
#include "crypto/random.hpp"

namespace culvert::crypto {

inline constexpr std::size_t kX25519Size = 32;

class X25519Key {
 public:
  explicit X25519Key(Random& random);
  /// `private_key`: 32 bytes.
  explicit X25519Key(ByteView private_key);

  [[nodiscard]] ByteView public_value() const { return public_; }
  /// The 32 bytes both ends share. Errc::protocol if `peer` is not 32 bytes long or leads to all zeros.
  [[nodiscard]] Result<SecretBytes> agree(ByteView peer) const;

 private:
  Pkey key_;
  std::array<std::uint8_t, kX25519Size> public_{};
};

}  // namespace culvert::crypto
