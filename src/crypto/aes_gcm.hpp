// SPDX-License-Identifier: Apache-2.0
// aes128-gcm@openssh.com and aes256-gcm@openssh.com: RFC 5647, negotiated as a cipher alone. packet_length
// stays in the clear and is authenticated; the last 8 of the 12 bytes of IV count packets.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::crypto {

/// Who computes. Both give the same bytes.
enum class AesGcmEngine : std::uint8_t { openssl, ipsec_mb };

/// Built in, and this CPU can run it (`ipsec_mb` needs AES instructions and AVX). True for `openssl`.
[[nodiscard]] bool is_available(AesGcmEngine engine);
/// The faster one of those that are available. Any thread. The first call takes about 2 ms where it is
/// ipsec_mb, which tests itself when it starts: make it while waiting for something else.
[[nodiscard]] AesGcmEngine fastest_aes_gcm_engine();

/// `key`: 16 or 32 bytes, `iv`: 12 bytes; `engine` must be available.
[[nodiscard]] std::unique_ptr<Sealer> make_aes_gcm_sealer(AesGcmEngine engine, ByteView key, ByteView iv);
[[nodiscard]] std::unique_ptr<Opener> make_aes_gcm_opener(AesGcmEngine engine, ByteView key, ByteView iv);

}  // namespace culvert::crypto
