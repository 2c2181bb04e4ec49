// SPDX-License-Identifier: Apache-2.0
#include <openssl/core_names.h>

#include "base/assert.hpp"
#include "base/wire.hpp"
#include "crypto/base64.hpp"
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

SecretBytes write_private_key(const PrivateKey& key) {
  constexpr std::size_t kBlock = 8;
  constexpr std::size_t kLine = 70;
  constexpr std::uint32_t kCheck = 0;  // twice the same number shows that nothing had to be decrypted
  const SecretBytes numbers = encode_private_key(key);
  Bytes part, whole;
  part.reserve(numbers.size() + key.comment().size() + 64);  // never moved, neither of them
  whole.reserve(part.capacity() + key.public_key().blob().size() + 128);
  Writer(part).u32(kCheck).u32(kCheck).bytes(numbers).text(key.comment());
  for (std::uint8_t pad = 1; part.size() % kBlock != 0; ++pad) part.push_back(pad);
  constexpr std::string_view kMagic("openssh-key-v1\0", 15);
  Writer(whole).bytes(as_bytes(kMagic)).text("none").text("none").text("").u32(1);
  Writer(whole).string(key.public_key().blob()).string(part);
  std::string letters = base64_encode(whole);
  std::string text;
  text.reserve(letters.size() + letters.size() / kLine + 128);
  text += "-----BEGIN OPENSSH PRIVATE KEY-----\n";
  for (std::size_t at = 0; at < letters.size(); at += kLine) text.append(letters, at, kLine).push_back('\n');
  text += "-----END OPENSSH PRIVATE KEY-----\n";
  SecretBytes secret(text);
  for (Bytes* bytes : {&part, &whole}) wipe(*bytes);
  for (std::string* copy : {&letters, &text})
    wipe({reinterpret_cast<std::uint8_t*>(copy->data()), copy->size()});
  return secret;
}

}  // namespace culvert::crypto
