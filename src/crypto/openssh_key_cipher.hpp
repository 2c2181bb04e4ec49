// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: the ciphers that protect OpenSSH's private key files. Not those of packets: other
// framing, no sequence numbers, and CBC besides.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

namespace culvert::crypto {

struct KeyFileCipher {
  std::string_view name;     ///< "aes256-ctr"
  const char* openssl_name;  ///< "AES-256-CTR"
  std::size_t key_size;      ///< bytes
  std::size_t iv_size;       ///< bytes
  std::size_t block_size;    ///< bytes; the encrypted section is a multiple of it
  std::size_t tag_size;      ///< bytes behind the encrypted section
};

/// Null for a cipher that we do not have, and for "none".
[[nodiscard]] const KeyFileCipher* find_key_file_cipher(std::string_view name);

/// `secret`: key_size bytes of key, then iv_size bytes. `sealed`: a multiple of block_size bytes. `tag`:
/// tag_size bytes. Errc::wrong_passphrase if the tag does not fit.
[[nodiscard]] Result<SecretBytes> decrypt_key_section(const KeyFileCipher& cipher, const SecretBytes& secret,
                                                      ByteView sealed, ByteView tag);

}  // namespace culvert::crypto
