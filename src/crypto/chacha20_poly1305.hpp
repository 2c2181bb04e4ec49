// SPDX-License-Identifier: Apache-2.0
// chacha20-poly1305@openssh.com, as OpenSSH's PROTOCOL.chacha20poly1305 defines it: two ChaCha20 keys, one
// for packet_length and one for the rest; the nonce is the sequence number; the first block of key stream of
// the second key holds the key of Poly1305, which covers the encrypted length and the encrypted rest.
#pragma once

#include <memory>

#include "base/bytes.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::crypto {

/// `key`: 64 bytes.
[[nodiscard]] std::unique_ptr<Sealer> make_chacha20_poly1305_sealer(ByteView key);
[[nodiscard]] std::unique_ptr<Opener> make_chacha20_poly1305_opener(ByteView key);

}  // namespace culvert::crypto
