// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: what each engine of AES-GCM makes.
#pragma once

#include <memory>

#include "base/bytes.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::crypto {

[[nodiscard]] std::unique_ptr<Sealer> make_openssl_gcm_sealer(ByteView key, ByteView iv);
[[nodiscard]] std::unique_ptr<Opener> make_openssl_gcm_opener(ByteView key, ByteView iv);

/// False where the library was not there at build time, or does not run here.
[[nodiscard]] bool ipsec_mb_is_available();
[[nodiscard]] std::unique_ptr<Sealer> make_ipsec_mb_gcm_sealer(ByteView key, ByteView iv);
[[nodiscard]] std::unique_ptr<Opener> make_ipsec_mb_gcm_opener(ByteView key, ByteView iv);

}  // namespace culvert::crypto
