// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: OpenSSH's own private key format (PROTOCOL.key in its sources).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/private_key.hpp"

namespace culvert::crypto {

/// The most rounds of bcrypt_pbkdf that a file may ask for. ssh-keygen takes 16 or 24 unless told otherwise
/// (-a); this many take about a quarter of a minute.
inline constexpr std::uint32_t kMaxBcryptRounds = 2048;

/// The first PEM block in `text` is of this format.
[[nodiscard]] bool is_openssh_private_key(std::string_view text);

/// Errors as for parse_private_key(); Errc::limit for too many rounds.
[[nodiscard]] Result<PrivateKey> parse_openssh_private_key(std::string_view text,
                                                           const SecretBytes* passphrase,
                                                           std::uint32_t max_rounds = kMaxBcryptRounds);

[[nodiscard]] Result<PublicKey> parse_openssh_public_half(std::string_view text);

}  // namespace culvert::crypto
