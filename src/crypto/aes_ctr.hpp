// SPDX-License-Identifier: Apache-2.0
// aes128-ctr, aes192-ctr, aes256-ctr (RFC 4344 section 4) with an HMAC: over the plain packet (RFC 4253
// section 6.4), or over the encrypted one with packet_length in the clear (the -etm@openssh.com MACs).
#pragma once

#include <memory>

#include "crypto/algorithms.hpp"

namespace culvert::crypto {

/// `key`: 16, 24 or 32 bytes; `iv`: 16 bytes; `mac` is not null.
[[nodiscard]] std::unique_ptr<Sealer> make_aes_ctr_sealer(const MacInfo* mac, ByteView key, ByteView iv,
                                                          ByteView mac_key);
[[nodiscard]] std::unique_ptr<Opener> make_aes_ctr_opener(const MacInfo* mac, ByteView key, ByteView iv,
                                                          ByteView mac_key);

}  // namespace culvert::crypto
