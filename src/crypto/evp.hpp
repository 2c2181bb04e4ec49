// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: owners for OpenSSL's objects, and its algorithms, fetched once per process.
// A call that can fail only by a bug of ours or for want of memory goes through CULVERT_ASSERT.
#pragma once

#include <openssl/bn.h>
#include <openssl/evp.h>

#include <cstdint>
#include <memory>

#include "base/bytes.hpp"
#include "crypto/hash.hpp"

namespace culvert::crypto {

template <auto kFree>
struct Releaser {
  void operator()(auto* object) const { kFree(object); }
};

using MdContext = std::unique_ptr<EVP_MD_CTX, Releaser<EVP_MD_CTX_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Releaser<EVP_MAC_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Releaser<EVP_CIPHER_CTX_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, Releaser<EVP_PKEY_CTX_free>>;
using Pkey = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY_free>>;
using SecretNumber = std::unique_ptr<BIGNUM, Releaser<BN_clear_free>>;

/// Fetched at the first use and kept for the life of the process: a fetch takes locks and a microsecond. Any
/// thread.
[[nodiscard]] const EVP_MD* evp_digest(HashId id);
[[nodiscard]] const char* evp_digest_name(HashId id);
[[nodiscard]] EVP_MAC* evp_hmac();

/// All of `in`, as many bytes to `out`, which may be the same place: of a stream cipher, or whole blocks
/// without padding. In the direction that the context was begun in.
void run_cipher(EVP_CIPHER_CTX* context, ByteView in, std::uint8_t* out);

}  // namespace culvert::crypto
