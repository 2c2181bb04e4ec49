// SPDX-License-Identifier: Apache-2.0
#include "crypto/private_key_parts.hpp"

#include <openssl/core_names.h>

#include "base/assert.hpp"
#include "base/wire.hpp"
#include "crypto/key_handles.hpp"

namespace culvert::crypto {
namespace {

std::unexpected<Error> not_together() {
  return fail(Errc::malformed, "private key is damaged: its parts do not belong together");
}

PrivateKey assemble(PublicKey public_key, Pkey key, std::string comment) {
  return PrivateKey(std::make_shared<const PrivateKey::State>(
      PrivateKey::State{std::move(public_key), std::move(key), std::move(comment)}));
}

Pkey make_pair(const char* openssl_type, OSSL_PARAM_BLD* builder) {
  const Params parts(OSSL_PARAM_BLD_to_param(builder));
  return key_of_parts(openssl_type, EVP_PKEY_KEYPAIR, parts.get());
}

SecretNumber number_from(ByteView magnitude) {
  SecretNumber number(BN_secure_new());  // "secure" also makes the parameters that it is copied to be wiped
  CULVERT_ASSERT(number != nullptr);
  CULVERT_ASSERT(BN_bin2bn(magnitude.data(), static_cast<int>(magnitude.size()), number.get()) != nullptr);
  BN_set_flags(number.get(), BN_FLG_CONSTTIME);
  return number;
}

SecretNumber minus_one(const BIGNUM* value) {
  SecretNumber number(BN_dup(value));
  CULVERT_ASSERT(number != nullptr && BN_sub_word(number.get(), 1) == 1);
  BN_set_flags(number.get(), BN_FLG_CONSTTIME);
  return number;
}

/// a * b = 1 (mod m)
bool are_inverse(const BIGNUM* a, const BIGNUM* b, const BIGNUM* m, BN_CTX* context) {
  const SecretNumber product(BN_new());
  CULVERT_ASSERT(product != nullptr);
  return BN_mod_mul(product.get(), a, b, m, context) == 1 && BN_is_one(product.get()) == 1;
}

}  // namespace

Result<PrivateKey> make_ed25519_key(ByteView seed, std::string comment) {
  if (seed.size() != kEd25519KeySize)
    return fail(Errc::malformed, "ed25519 private key is not 32 bytes long");
  Pkey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  CULVERT_ASSERT(key != nullptr);
  Bytes point(kEd25519KeySize);
  std::size_t size = point.size();
  CULVERT_ASSERT(EVP_PKEY_get_raw_public_key(key.get(), point.data(), &size) == 1 && size == point.size());
  Bytes blob;
  Writer(blob).text(kEd25519).string(point);
  return assemble(TRY(PublicKey::parse(blob)), std::move(key), std::move(comment));
}

Result<PrivateKey> make_ecdsa_key(const Curve& curve, ByteView point, ByteView scalar, std::string comment) {
  Bytes blob;
  Writer(blob).text(curve.key_type).text(curve.name).string(point);
  PublicKey public_key = TRY(PublicKey::parse(blob));
  if (scalar.size() > curve.field_size) return not_together();

  const SecretNumber number = number_from(scalar);
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  CULVERT_ASSERT(builder != nullptr);
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.openssl_name, 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, number.get());
  Pkey key = make_pair("EC", builder.get());
  if (key == nullptr) return not_together();
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  CULVERT_ASSERT(context != nullptr);
  if (EVP_PKEY_check(context.get()) != 1) return not_together();
  return assemble(std::move(public_key), std::move(key), std::move(comment));
}

Result<PrivateKey> make_rsa_key(const RsaNumbers& numbers, std::string comment) {
  Bytes blob;
  Writer(blob).text(kRsa).mpint(numbers.e).mpint(numbers.n);
  PublicKey public_key = TRY(PublicKey::parse(blob));  // bounds n and e

  const SecretNumber n = number_from(numbers.n);
  const SecretNumber e = number_from(numbers.e);
  const SecretNumber d = number_from(numbers.d);
  const SecretNumber qinv = number_from(numbers.qinv);
  const SecretNumber p = number_from(numbers.p);
  const SecretNumber q = number_from(numbers.q);
  for (const auto* part : {&d, &qinv, &p, &q}) {
    if (BN_is_zero(part->get()) || BN_is_one(part->get()) || BN_cmp(part->get(), n.get()) >= 0)
      return not_together();
  }
  const NumberContext context(BN_CTX_secure_new());
  const SecretNumber product(BN_secure_new());
  const SecretNumber dp(BN_secure_new());
  const SecretNumber dq(BN_secure_new());
  CULVERT_ASSERT(context != nullptr && product != nullptr && dp != nullptr && dq != nullptr);
  const SecretNumber p_minus_one = minus_one(p.get());
  const SecretNumber q_minus_one = minus_one(q.get());
  if (BN_mul(product.get(), p.get(), q.get(), context.get()) != 1 || BN_cmp(product.get(), n.get()) != 0 ||
      !are_inverse(qinv.get(), q.get(), p.get(), context.get()) ||
      !are_inverse(d.get(), e.get(), p_minus_one.get(), context.get()) ||
      !are_inverse(d.get(), e.get(), q_minus_one.get(), context.get()) ||
      BN_mod(dp.get(), d.get(), p_minus_one.get(), context.get()) != 1 ||
      BN_mod(dq.get(), d.get(), q_minus_one.get(), context.get()) != 1) {
    return not_together();
  }

  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  CULVERT_ASSERT(builder != nullptr);
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_D, d.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_FACTOR1, p.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_FACTOR2, q.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_EXPONENT1, dp.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_EXPONENT2, dq.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_COEFFICIENT1, qinv.get());
  Pkey key = make_pair("RSA", builder.get());
  if (key == nullptr) return not_together();
  return assemble(std::move(public_key), std::move(key), std::move(comment));
}

}  // namespace culvert::crypto
