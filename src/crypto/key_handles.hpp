// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: owners for the OpenSSL objects that keys need beyond those of evp.hpp.
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

#include <memory>

#include "crypto/evp.hpp"

namespace culvert::crypto {

using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, Releaser<OSSL_PARAM_BLD_free>>;
using Params =
    std::unique_ptr<OSSL_PARAM, Releaser<OSSL_PARAM_free>>;  ///< wiped where a secret number was put in
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Releaser<ECDSA_SIG_free>>;
using NumberContext = std::unique_ptr<BN_CTX, Releaser<BN_CTX_free>>;
using Bio = std::unique_ptr<BIO, Releaser<BIO_free_all>>;

/// A key of these parts; `selection`: EVP_PKEY_KEYPAIR or EVP_PKEY_PUBLIC_KEY. Null if OpenSSL does not
/// accept them (a point that is not on the curve).
[[nodiscard]] Pkey key_of_parts(const char* openssl_type, int selection, OSSL_PARAM* parts);

}  // namespace culvert::crypto
