// SPDX-License-Identifier: Apache-2.0
#include "crypto/key_handles.hpp"

#include <openssl/err.h>

#include "base/assert.hpp"

namespace culvert::crypto {

Pkey key_of_parts(const char* openssl_type, int selection, OSSL_PARAM* parts) {
  const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, openssl_type, nullptr));
  CULVERT_ASSERT(parts != nullptr && context != nullptr);
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, selection, parts) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  return Pkey(key);
}

}  // namespace culvert::crypto
