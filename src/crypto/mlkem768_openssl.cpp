// SPDX-License-Identifier: Apache-2.0
#include <openssl/opensslv.h>

#if OPENSSL_VERSION_NUMBER >= 0x30500000L  // mlkem768.cpp otherwise

#include <openssl/params.h>

#include <array>

#include "base/assert.hpp"
#include "crypto/evp.hpp"
#include "crypto/key_handles.hpp"
#include "crypto/mlkem768.hpp"
#include "crypto/shared_secret.hpp"

namespace culvert::crypto::mlkem768 {
namespace {

/// Null if OpenSSL refuses the bytes. `parameter`: "seed", "priv" or "pub".
Pkey make_key(int selection, const char* parameter, ByteView bytes) {
  SecretBytes copy(bytes);
  std::array parameters = {OSSL_PARAM_construct_octet_string(parameter, copy.data(), copy.size()),
                           OSSL_PARAM_construct_end()};
  return key_of_parts("ML-KEM-768", selection, parameters.data());
}

void get(const Pkey& key, const char* parameter, MutableBytes out) {
  std::size_t size = 0;
  CULVERT_ASSERT(EVP_PKEY_get_octet_string_param(key.get(), parameter, out.data(), out.size(), &size) == 1);
  CULVERT_ASSERT(size == out.size());
}

}  // namespace

KeyPair generate(ByteView seed) {
  CULVERT_ASSERT(seed.size() == kSeedSize);
  const Pkey key = make_key(EVP_PKEY_KEYPAIR, "seed", seed);
  CULVERT_ASSERT(key != nullptr);
  KeyPair pair{Bytes(kEncapsulationKeySize), SecretBytes(kDecapsulationKeySize)};
  get(key, "pub", pair.encapsulation_key);
  get(key, "priv", pair.decapsulation_key.mutable_view());
  return pair;
}

Result<Encapsulated> encapsulate(ByteView encapsulation_key, ByteView message) {
  CULVERT_ASSERT(message.size() == kMessageSize);
  if (encapsulation_key.size() != kEncapsulationKeySize) return bad_public_value("ML-KEM-768: wrong length");
  const Pkey key = make_key(EVP_PKEY_PUBLIC_KEY, "pub", encapsulation_key);
  if (key == nullptr) return bad_public_value("ML-KEM-768: a coefficient is too large");
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  SecretBytes entropy(message);
  const std::array parameters = {OSSL_PARAM_construct_octet_string("ikme", entropy.data(), entropy.size()),
                                 OSSL_PARAM_construct_end()};
  CULVERT_ASSERT(context != nullptr && EVP_PKEY_encapsulate_init(context.get(), parameters.data()) == 1);
  Encapsulated result{Bytes(kCiphertextSize), SecretBytes(kSharedSecretSize)};
  std::size_t ciphertext_size = result.ciphertext.size();
  std::size_t secret_size = result.shared_secret.size();
  CULVERT_ASSERT(EVP_PKEY_encapsulate(context.get(), result.ciphertext.data(), &ciphertext_size,
                                      result.shared_secret.data(), &secret_size) == 1);
  CULVERT_ASSERT(ciphertext_size == kCiphertextSize && secret_size == kSharedSecretSize);
  return result;
}

Result<SecretBytes> decapsulate(ByteView decapsulation_key, ByteView ciphertext) {
  if (decapsulation_key.size() != kDecapsulationKeySize)
    return bad_public_value("ML-KEM-768: wrong key length");
  if (ciphertext.size() != kCiphertextSize) return bad_public_value("ML-KEM-768: wrong length");
  const Pkey key = make_key(EVP_PKEY_KEYPAIR, "priv", decapsulation_key);
  if (key == nullptr) return bad_public_value("ML-KEM-768: damaged key");
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  CULVERT_ASSERT(context != nullptr && EVP_PKEY_decapsulate_init(context.get(), nullptr) == 1);
  SecretBytes shared(kSharedSecretSize);
  std::size_t size = shared.size();
  CULVERT_ASSERT(
      EVP_PKEY_decapsulate(context.get(), shared.data(), &size, ciphertext.data(), ciphertext.size()) == 1);
  CULVERT_ASSERT(size == kSharedSecretSize);
  return shared;
}

}  // namespace culvert::crypto::mlkem768

#endif
