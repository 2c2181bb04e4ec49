// SPDX-License-Identifier: Apache-2.0
#include "crypto/aes_gcm.hpp"

#include "base/assert.hpp"
#include "crypto/aes_gcm_engines.hpp"
#include "crypto/cpu.hpp"

namespace culvert::crypto {

bool is_available(AesGcmEngine engine) { return engine == AesGcmEngine::openssl || ipsec_mb_is_available(); }

AesGcmEngine fastest_aes_gcm_engine() {
  static const AesGcmEngine fastest =
      cpu_has_wide_aes() && ipsec_mb_is_available() ? AesGcmEngine::ipsec_mb : AesGcmEngine::openssl;
  return fastest;
}

std::unique_ptr<Sealer> make_aes_gcm_sealer(AesGcmEngine engine, ByteView key, ByteView iv) {
  CULVERT_ASSERT(is_available(engine));
  return engine == AesGcmEngine::ipsec_mb ? make_ipsec_mb_gcm_sealer(key, iv)
                                          : make_openssl_gcm_sealer(key, iv);
}

std::unique_ptr<Opener> make_aes_gcm_opener(AesGcmEngine engine, ByteView key, ByteView iv) {
  CULVERT_ASSERT(is_available(engine));
  return engine == AesGcmEngine::ipsec_mb ? make_ipsec_mb_gcm_opener(key, iv)
                                          : make_openssl_gcm_opener(key, iv);
}

}  // namespace culvert::crypto
