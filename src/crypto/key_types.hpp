// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: the key types as a table.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "crypto/evp.hpp"

namespace culvert::crypto {

/// One ECDSA curve (RFC 5656 section 10.1).
struct Curve {
  std::string_view key_type;  ///< "ecdsa-sha2-nistp256"; the signature algorithm has the same name
  std::string_view name;      ///< in key blobs: "nistp256"
  const char* openssl_name;   ///< "prime256v1"
  HashId hash;                ///< that signatures are made over
  unsigned bits;
  std::size_t field_size;  ///< bytes of a coordinate
};

inline constexpr std::array<Curve, 3> kCurves{{
    {"ecdsa-sha2-nistp256", "nistp256", "prime256v1", HashId::sha256, 256, 32},
    {"ecdsa-sha2-nistp384", "nistp384", "secp384r1", HashId::sha384, 384, 48},
    {"ecdsa-sha2-nistp521", "nistp521", "secp521r1", HashId::sha512, 521, 66},
}};

/// Null for anything but an ECDSA type.
[[nodiscard]] inline const Curve* find_curve(std::string_view key_type) {
  for (const Curve& curve : kCurves) {
    if (curve.key_type == key_type) return &curve;
  }
  return nullptr;
}

inline constexpr std::string_view kEd25519 = "ssh-ed25519";
inline constexpr std::string_view kSkEd25519 = "sk-ssh-ed25519@openssh.com";
inline constexpr std::string_view kSkEcdsa = "sk-ecdsa-sha2-nistp256@openssh.com";
inline constexpr std::string_view kRsa = "ssh-rsa";
inline constexpr std::string_view kRsaSha256 = "rsa-sha2-256";
inline constexpr std::string_view kRsaSha512 = "rsa-sha2-512";
inline constexpr std::size_t kEd25519KeySize = 32;
inline constexpr std::size_t kEd25519SignatureSize = 64;
inline constexpr int kMinRsaBits = 2048;
inline constexpr int kMaxRsaBits = 16384;
inline constexpr std::size_t kMaxRsaExponentSize = 8;  ///< bytes; OpenSSL's own bound for large moduli

/// Keys in a hardware token (PROTOCOL.u2f of OpenSSH): an ed25519 or ECDSA key with an application's name.
[[nodiscard]] inline bool is_security_key_type(std::string_view key_type) {
  return key_type == kSkEd25519 || key_type == kSkEcdsa;
}

/// The type whose numbers and signatures a security key has; other types as they are.
[[nodiscard]] inline std::string_view base_type(std::string_view key_type) {
  if (key_type == kSkEd25519) return kEd25519;
  return key_type == kSkEcdsa ? kCurves[0].key_type : key_type;
}

/// The digest that a signature algorithm signs, by OpenSSL's name; null for ed25519, which has its own
/// inside.
[[nodiscard]] inline const char* digest_name_of(std::string_view algorithm) {
  if (algorithm == kRsaSha256) return evp_digest_name(HashId::sha256);
  if (algorithm == kRsaSha512) return evp_digest_name(HashId::sha512);
  const Curve* curve = find_curve(algorithm);
  return curve == nullptr ? nullptr : evp_digest_name(curve->hash);
}

}  // namespace culvert::crypto
