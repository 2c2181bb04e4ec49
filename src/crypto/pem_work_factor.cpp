// SPDX-License-Identifier: Apache-2.0
#include "crypto/pem_work_factor.hpp"

#include <openssl/asn1.h>
#include <openssl/objects.h>

#include <cstdint>
#include <memory>

#include "crypto/evp.hpp"

namespace culvert::crypto {
namespace {

constexpr std::uint64_t kMaxIterations = 10'000'000;
constexpr std::uint64_t kMaxScryptWork = 1u << 24;

using Pbes1 = std::unique_ptr<PBEPARAM, Releaser<PBEPARAM_free>>;
using Pbes2 = std::unique_ptr<PBE2PARAM, Releaser<PBE2PARAM_free>>;
using Pbkdf2 = std::unique_ptr<PBKDF2PARAM, Releaser<PBKDF2PARAM_free>>;
using Scrypt = std::unique_ptr<SCRYPT_PARAMS, Releaser<SCRYPT_PARAMS_free>>;

std::unexpected<Error> malformed() {
  return fail(Errc::malformed, "private key has damaged parameters of its encryption");
}

/// The parameters of an algorithm, as the type whose ASN.1 description is `item`; null if they are not of
/// that type.
template <class Owner>
Owner unpack(const X509_ALGOR& algorithm, const ASN1_ITEM* item) {
  const ASN1_TYPE* parameter = algorithm.parameter;
  if (parameter == nullptr) return nullptr;
  return Owner(static_cast<typename Owner::pointer>(ASN1_TYPE_unpack_sequence(item, parameter)));
}

/// `bound + 1` where the number is larger than that or negative.
std::uint64_t bounded(const ASN1_INTEGER* number, std::uint64_t bound) {
  std::uint64_t value = 0;
  if (number == nullptr || ASN1_INTEGER_get_uint64(&value, number) != 1 || value > bound) return bound + 1;
  return value;
}

Result<void> check_iterations(const ASN1_INTEGER* iterations) {
  if (bounded(iterations, kMaxIterations) > kMaxIterations) {
    return fail(Errc::limit, "private key asks for more than 10 million iterations to derive its key");
  }
  return {};
}

Result<void> check_scrypt(const X509_ALGOR& function) {
  const auto scrypt = unpack<Scrypt>(function, ASN1_ITEM_rptr(SCRYPT_PARAMS));
  if (scrypt == nullptr) return malformed();
  std::uint64_t work = 1;
  for (const ASN1_INTEGER* factor :
       {scrypt->costParameter, scrypt->blockSize, scrypt->parallelizationParameter}) {
    work *= bounded(factor, kMaxScryptWork);  // both below 2^25: no overflow
    if (work > kMaxScryptWork)
      return fail(Errc::limit, "private key asks for too much work to derive its key");
  }
  return {};
}

Result<void> check_pbes2(const X509_ALGOR& algorithm) {
  const auto scheme = unpack<Pbes2>(algorithm, ASN1_ITEM_rptr(PBE2PARAM));
  if (scheme == nullptr) return malformed();
  const int function = OBJ_obj2nid(scheme->keyfunc->algorithm);
  if (function == NID_id_scrypt) return check_scrypt(*scheme->keyfunc);
  if (function != NID_id_pbkdf2)
    return fail(Errc::unsupported, "private key is encrypted by an unknown key derivation");
  const auto pbkdf2 = unpack<Pbkdf2>(*scheme->keyfunc, ASN1_ITEM_rptr(PBKDF2PARAM));
  if (pbkdf2 == nullptr) return malformed();
  return check_iterations(pbkdf2->iter);
}

}  // namespace

Result<void> check_work_factor(const X509_SIG& encrypted) {
  const X509_ALGOR* algorithm = nullptr;
  X509_SIG_get0(&encrypted, &algorithm, nullptr);
  if (OBJ_obj2nid(algorithm->algorithm) == NID_pbes2) return check_pbes2(*algorithm);
  const auto scheme = unpack<Pbes1>(*algorithm, ASN1_ITEM_rptr(PBEPARAM));
  if (scheme == nullptr) return fail(Errc::unsupported, "private key is encrypted by an unknown scheme");
  return check_iterations(scheme->iter);
}

}  // namespace culvert::crypto
