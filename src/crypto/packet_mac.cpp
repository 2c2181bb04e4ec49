// SPDX-License-Identifier: Apache-2.0
#include "crypto/packet_mac.hpp"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include <string>

#include "base/assert.hpp"
#include "base/secret.hpp"
#include "base/wire.hpp"

namespace culvert::crypto {

PacketMac::PacketMac(const MacInfo& mac, ByteView key)
    : context_(EVP_MAC_CTX_new(evp_hmac())), tag_size_(mac.tag_size) {
  CULVERT_ASSERT(context_ != nullptr && key.size() == mac.key_size && mac.tag_size == hash_size(mac.hash));
  std::string name = evp_digest_name(mac.hash);
  const std::array parameters = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), 0),
                                 OSSL_PARAM_construct_end()};
  CULVERT_ASSERT(EVP_MAC_init(context_.get(), key.data(), key.size(), parameters.data()) == 1);
}

void PacketMac::begin(std::uint32_t sequence) {
  // Without a key it starts over with the one it has. OpenSSL 3.0 allocates twice here and in `finish` to
  // copy a state; so does every other way to start a hash over that it offers, and this one is the fastest.
  CULVERT_ASSERT(EVP_MAC_init(context_.get(), nullptr, 0, nullptr) == 1);
  std::array<std::uint8_t, 4> encoded{};
  store_u32(encoded.data(), sequence);
  update(encoded);
}

void PacketMac::update(ByteView bytes) {
  CULVERT_ASSERT(EVP_MAC_update(context_.get(), bytes.data(), bytes.size()) == 1);
}

void PacketMac::finish(MutableBytes tag) {
  CULVERT_ASSERT(tag.size() == tag_size_);
  std::size_t written = 0;
  CULVERT_ASSERT(EVP_MAC_final(context_.get(), tag.data(), &written, tag.size()) == 1 &&
                 written == tag_size_);
}

bool PacketMac::finish_and_compare(ByteView tag) {
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> ours{};
  const MutableBytes used = MutableBytes(ours).first(tag_size_);
  finish(used);
  return equal_in_constant_time(used, tag);
}

}  // namespace culvert::crypto
