// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: the key derivation of encrypted OpenSSH keys.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

namespace culvert::crypto {

/// bcrypt_pbkdf with a passphrase that is not empty. Errc::unsupported where the library that has it is not
/// there.
[[nodiscard]] Result<SecretBytes> bcrypt_pbkdf(const SecretBytes& passphrase, ByteView salt,
                                               std::uint32_t rounds, std::size_t size);

}  // namespace culvert::crypto
