// SPDX-License-Identifier: Apache-2.0
#include "crypto/evp.hpp"

#include <utility>

#include "base/assert.hpp"

namespace culvert::crypto {

void run_cipher(EVP_CIPHER_CTX* context, ByteView in, std::uint8_t* out) {
  if (in.empty()) return;
  int written = 0;
  CULVERT_ASSERT(std::in_range<int>(in.size()));
  CULVERT_ASSERT(EVP_CipherUpdate(context, out, &written, in.data(), static_cast<int>(in.size())) == 1);
  CULVERT_ASSERT(std::cmp_equal(written, in.size()));
}

}  // namespace culvert::crypto
