// SPDX-License-Identifier: Apache-2.0
// ML-KEM-768 (FIPS 203). OpenSSL's from 3.5 on; with an older one our own, whose time and memory accesses
// depend on nothing secret. The functions are deterministic: their caller draws the seeds.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

namespace culvert::crypto::mlkem768 {

inline constexpr std::size_t kSeedSize = 64;
inline constexpr std::size_t kMessageSize = 32;
inline constexpr std::size_t kEncapsulationKeySize = 1184;
inline constexpr std::size_t kDecapsulationKeySize = 2400;
inline constexpr std::size_t kCiphertextSize = 1088;
inline constexpr std::size_t kSharedSecretSize = 32;

struct KeyPair {
  Bytes encapsulation_key;
  SecretBytes decapsulation_key;
};

struct Encapsulated {
  Bytes ciphertext;
  SecretBytes shared_secret;
};

/// Algorithm 16 with `seed` = d | z, 64 random bytes.
[[nodiscard]] KeyPair generate(ByteView seed);

/// Algorithm 17 with `message` = m, 32 random bytes. Errc::protocol if the key has a wrong length or a
/// coefficient that is not below q (section 7.2).
[[nodiscard]] Result<Encapsulated> encapsulate(ByteView encapsulation_key, ByteView message);

/// Algorithm 18. A well-formed ciphertext always gives a secret: of a wrong one, a secret that nobody knows.
/// Errc::protocol if a length is wrong or the key does not hold the hash of its own public half
/// (section 7.3).
[[nodiscard]] Result<SecretBytes> decapsulate(ByteView decapsulation_key, ByteView ciphertext);

}  // namespace culvert::crypto::mlkem768
