// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: AES-GCM itself, before any packet format, by either engine.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.hpp"
#include "crypto/aes_gcm.hpp"

namespace culvert::crypto {

inline constexpr std::size_t kGcmNonceSize = 12;
inline constexpr std::size_t kGcmTagSize = 16;

enum class Direction : bool { seal, open };

/// One expanded key, in one direction, for any number of messages; wiped when it goes. For each message:
/// begin, any number of updates, then `tag` (Direction::seal) or `tag_fits` (Direction::open).
class AesGcm {
 public:
  virtual ~AesGcm() = default;
  virtual void begin(ByteView nonce, ByteView associated_data) = 0;
  /// The next piece, not empty; `out` has room for as much, and is either `in` itself or does not overlap it.
  virtual void update(ByteView in, std::uint8_t* out) = 0;
  virtual void tag(MutableBytes tag) = 0;
  /// Compares in constant time.
  [[nodiscard]] virtual bool tag_fits(ByteView tag) = 0;
};

/// `key`: 16 or 32 bytes; `engine` must be available.
[[nodiscard]] std::unique_ptr<AesGcm> make_aes_gcm(AesGcmEngine engine, ByteView key, Direction direction);

[[nodiscard]] std::unique_ptr<AesGcm> make_openssl_aes_gcm(ByteView key, Direction direction);
/// Null unless ipsec_mb_is_available().
[[nodiscard]] std::unique_ptr<AesGcm> make_ipsec_mb_aes_gcm(ByteView key, Direction direction);
/// False where the library was not there at build time, or does not run here.
[[nodiscard]] bool ipsec_mb_is_available();

}  // namespace culvert::crypto
