// SPDX-License-Identifier: Apache-2.0
#include "crypto/x25519.hpp"

#include "base/assert.hpp"
#include "crypto/shared_secret.hpp"

namespace culvert::crypto {
namespace {

SecretBytes draw(Random& random) {
  SecretBytes bytes(kX25519Size);
  random.fill(bytes.mutable_view());
  return bytes;
}

}  // namespace

X25519Key::X25519Key(Random& random) : X25519Key(draw(random)) {}

X25519Key::X25519Key(ByteView private_key) {
  CULVERT_ASSERT(private_key.size() == kX25519Size);
  key_.reset(
      EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, private_key.data(), private_key.size()));
  std::size_t size = public_.size();
  CULVERT_ASSERT(key_ != nullptr && EVP_PKEY_get_raw_public_key(key_.get(), public_.data(), &size) == 1);
}

Result<SecretBytes> X25519Key::agree(ByteView peer) const {
  if (peer.size() != kX25519Size) return bad_public_value("X25519: wrong length");
  const Pkey peer_key(EVP_PKEY_new_raw_public_key_ex(nullptr, "X25519", nullptr, peer.data(), peer.size()));
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
  CULVERT_ASSERT(peer_key != nullptr && context != nullptr);
  CULVERT_ASSERT(EVP_PKEY_derive_init(context.get()) == 1);
  CULVERT_ASSERT(EVP_PKEY_derive_set_peer(context.get(), peer_key.get()) == 1);
  SecretBytes shared(kX25519Size);
  std::size_t size = shared.size();
  // OpenSSL refuses all zeros by itself; RFC 8731 section 3 asks us to, so we look too.
  const bool derived = EVP_PKEY_derive(context.get(), shared.data(), &size) == 1 && size == kX25519Size;
  const std::array<std::uint8_t, kX25519Size> zeros{};
  if (!derived || equal_in_constant_time(shared, zeros)) return bad_public_value("X25519: all-zero result");
  return shared;
}

}  // namespace culvert::crypto
