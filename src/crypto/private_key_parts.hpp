// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: private keys from the numbers that key files hold. Every function checks that the parts
// belong together (Errc::malformed otherwise), so that a damaged file cannot make signatures that give the
// key away.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/evp.hpp"
#include "crypto/key_types.hpp"
#include "crypto/private_key.hpp"

namespace culvert::crypto {

struct PrivateKey::State {
  PublicKey public_key;
  Pkey key;
  std::string comment;
};

/// `seed`: 32 bytes, RFC 8032 section 5.1.5.
[[nodiscard]] Result<PrivateKey> make_ed25519_key(ByteView seed, std::string comment);

/// `point`: the public key, uncompressed. `scalar`: big-endian.
[[nodiscard]] Result<PrivateKey> make_ecdsa_key(const Curve& curve, ByteView point, ByteView scalar,
                                                std::string comment);

/// Big-endian magnitudes, by the names of RFC 8017 section 3.2; qinv * q = 1 (mod p).
struct RsaNumbers {
  SecretBytes n, e, d, qinv, p, q;
};
[[nodiscard]] Result<PrivateKey> make_rsa_key(const RsaNumbers& numbers, std::string comment);

}  // namespace culvert::crypto
