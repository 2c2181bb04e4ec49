// SPDX-License-Identifier: Apache-2.0
// Every algorithm is a row in a table: its wire name, its sizes, and how to make one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "crypto/hash.hpp"
#include "crypto/key_exchange.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::crypto {

struct MacInfo {
  std::string_view name;  ///< "hmac-sha2-256-etm@openssh.com"
  HashId hash;
  std::size_t key_size;  ///< bytes
  std::size_t tag_size;  ///< bytes
  bool encrypt_then_mac;
};

struct CipherInfo {
  std::string_view name;   ///< "aes128-gcm@openssh.com"
  std::size_t key_size;    ///< bytes; 64 for chacha20-poly1305@openssh.com
  std::size_t iv_size;     ///< bytes; 0 where the cipher takes none
  std::size_t block_size;  ///< bytes
  bool is_aead;            ///< brings its own tag: the negotiated MAC is not used
  /// `mac` is null for an AEAD. `key`, `iv` and `mac_key` have the sizes above; they are copied into the
  /// cipher.
  std::unique_ptr<Sealer> (*make_sealer)(const MacInfo* mac, ByteView key, ByteView iv, ByteView mac_key);
  std::unique_ptr<Opener> (*make_opener)(const MacInfo* mac, ByteView key, ByteView iv, ByteView mac_key);
};

struct KexInfo {
  std::string_view name;  ///< "mlkem768x25519-sha256"
  HashId hash;            ///< of the exchange hash and the key derivation
  std::unique_ptr<KeyExchange> (*make)();
};

/// All rows, in the order we prefer on this CPU: with AES instructions AES-GCM first, without them
/// chacha20-poly1305.
[[nodiscard]] std::span<const CipherInfo> ciphers();
[[nodiscard]] std::span<const MacInfo> macs();
[[nodiscard]] std::span<const KexInfo> key_exchanges();
/// Host key and user signature algorithms, best first: "ssh-ed25519", "ecdsa-sha2-nistp256", ...,
/// "rsa-sha2-512", ...
[[nodiscard]] std::span<const std::string_view> signatures();

/// Null if there is no such row.
[[nodiscard]] const CipherInfo* find_cipher(std::string_view name);
[[nodiscard]] const MacInfo* find_mac(std::string_view name);
[[nodiscard]] const KexInfo* find_key_exchange(std::string_view name);

}  // namespace culvert::crypto
