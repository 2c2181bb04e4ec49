// SPDX-License-Identifier: Apache-2.0
#include <openssl/core_names.h>

#include "base/assert.hpp"
#include "base/wire.hpp"
#include "crypto/key_handles.hpp"
#include "crypto/private_key.hpp"
#include "crypto/private_key_parts.hpp"

namespace culvert::crypto {
namespace {

SecretBytes number_of(const Pkey& key, const char* name) {
  BIGNUM* value = BN_secure_new();
  CULVERT_ASSERT(value != nullptr && EVP_PKEY_get_bn_param(key.get(), name, &value) == 1);
  const SecretNumber owner(value);
  SecretBytes magnitude(static_cast<std::size_t>(BN_num_bytes(value)));
  BN_bn2bin(value, magnitude.data());
  return magnitude;
}

// What stands behind the type in the public key's blob.
ByteView public_fields(const PublicKey& key) {
  Reader reader(key.blob());
  CULVERT_ASSERT(reader.string().has_value());
  return reader.rest();
}

void write_ed25519(Writer& writer, const PrivateKey::State& state) {
  SecretBytes seed(kEd25519KeySize);
  std::size_t size = seed.size();
  CULVERT_ASSERT(EVP_PKEY_get_raw_private_key(state.key.get(), seed.data(), &size) == 1 &&
                 size == seed.size());
  const ByteView point_string = public_fields(state.public_key);
  const auto point = Reader(point_string).string();
  CULVERT_ASSERT(point.has_value());
  writer.bytes(point_string);
  writer.u32(2 * kEd25519KeySize).bytes(seed).bytes(*point);
}

void write_rsa(Writer& writer, const PrivateKey::State& state) {
  for (const char* name :
       {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E, OSSL_PKEY_PARAM_RSA_D, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
        OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2}) {
    writer.mpint(number_of(state.key, name));
  }
}

}  // namespace

SecretBytes encode_private_key(const PrivateKey& key) {
  const PrivateKey::State& state = key.state();
  const std::string& type = state.public_key.type();
  Bytes out;
  out.reserve(3 * state.public_key.blob().size() + 4096);  // never moved: no copies stay
  Writer writer(out);
  writer.text(type);
  if (type == kEd25519) {
    write_ed25519(writer, state);
  } else if (type == kRsa) {
    write_rsa(writer, state);
  } else {
    writer.bytes(public_fields(state.public_key)).mpint(number_of(state.key, OSSL_PKEY_PARAM_PRIV_KEY));
  }
  SecretBytes secret(out);
  wipe(out);
  return secret;
}

}  // namespace culvert::crypto
