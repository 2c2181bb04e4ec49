// SPDX-License-Identifier: Apache-2.0
#include "crypto/hash.hpp"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include <array>
#include <string>

#include "base/assert.hpp"
#include "crypto/evp.hpp"

namespace culvert::crypto {
namespace {

struct Row {
  const char* name;
  std::size_t size;
};

constexpr std::array<Row, 4> kRows = {{{"SHA1", 20}, {"SHA256", 32}, {"SHA384", 48}, {"SHA512", 64}}};

const Row& row(HashId id) { return kRows.at(static_cast<std::size_t>(id)); }

}  // namespace

const char* evp_digest_name(HashId id) { return row(id).name; }

const EVP_MD* evp_digest(HashId id) {
  static const std::array<const EVP_MD*, kRows.size()> fetched = [] {
    std::array<const EVP_MD*, kRows.size()> all{};
    for (std::size_t i = 0; i < kRows.size(); ++i) {
      all[i] = EVP_MD_fetch(nullptr, kRows[i].name, nullptr);
      CULVERT_ASSERT(all[i] != nullptr);
    }
    return all;
  }();
  return fetched.at(static_cast<std::size_t>(id));
}

EVP_MAC* evp_hmac() {
  static EVP_MAC* const fetched = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  CULVERT_ASSERT(fetched != nullptr);
  return fetched;
}

std::size_t hash_size(HashId id) { return row(id).size; }

Bytes hash(HashId id, ByteView data) {
  Bytes out(hash_size(id));
  CULVERT_ASSERT(EVP_Digest(data.data(), data.size(), out.data(), nullptr, evp_digest(id), nullptr) == 1);
  return out;
}

Bytes hmac(HashId id, ByteView key, ByteView data) {
  const MacContext context(EVP_MAC_CTX_new(evp_hmac()));
  CULVERT_ASSERT(context != nullptr);
  std::string name = evp_digest_name(id);
  const std::array parameters = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), 0),
                                 OSSL_PARAM_construct_end()};
  // A null key would mean "keep the one you have".
  const std::uint8_t none = 0;
  const std::uint8_t* const key_bytes = key.empty() ? &none : key.data();
  CULVERT_ASSERT(EVP_MAC_init(context.get(), key_bytes, key.size(), parameters.data()) == 1);
  CULVERT_ASSERT(EVP_MAC_update(context.get(), data.data(), data.size()) == 1);
  Bytes out(hash_size(id));
  std::size_t written = 0;
  CULVERT_ASSERT(EVP_MAC_final(context.get(), out.data(), &written, out.size()) == 1 &&
                 written == out.size());
  return out;
}

struct Hasher::State {
  HashId id;
  MdContext context;
};

Hasher::Hasher(HashId id) : state_(std::make_unique<State>(id, MdContext(EVP_MD_CTX_new()))) {
  CULVERT_ASSERT(state_->context != nullptr);
  CULVERT_ASSERT(EVP_DigestInit_ex2(state_->context.get(), evp_digest(id), nullptr) == 1);
}

Hasher::~Hasher() = default;

Hasher& Hasher::update(ByteView data) {
  CULVERT_ASSERT(state_ != nullptr);
  CULVERT_ASSERT(EVP_DigestUpdate(state_->context.get(), data.data(), data.size()) == 1);
  return *this;
}

SecretBytes Hasher::finish() {
  CULVERT_ASSERT(state_ != nullptr);
  SecretBytes out(hash_size(state_->id));
  CULVERT_ASSERT(EVP_DigestFinal_ex(state_->context.get(), out.data(), nullptr) == 1);
  state_.reset();
  return out;
}

}  // namespace culvert::crypto
