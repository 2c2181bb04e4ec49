// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.hpp"
#include "base/secret.hpp"

namespace culvert::crypto {

enum class HashId : std::uint8_t { sha1, sha256, sha384, sha512 };

/// 20, 32, 48 or 64 bytes.
[[nodiscard]] std::size_t hash_size(HashId id);

[[nodiscard]] Bytes hash(HashId id, ByteView data);
[[nodiscard]] Bytes hmac(HashId id, ByteView key, ByteView data);

/// A hash over several pieces: `Hasher(HashId::sha256).update(a).update(b).finish()`. Secrets may go through
/// it.
class Hasher {
 public:
  explicit Hasher(HashId id);
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  Hasher& update(ByteView data);
  /// Once; the object is spent then.
  [[nodiscard]] SecretBytes finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace culvert::crypto
