// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: how much work an encrypted PKCS#8 file (RFC 5958 section 3) asks for before it can be
// opened.
#pragma once

#include <openssl/x509.h>

#include "base/result.hpp"

namespace culvert::crypto {

/// Errc::limit if deriving the key would take more than about a quarter of a minute (PBKDF2 and the PKCS#12
/// functions: 10 million iterations; scrypt: N * r * p of 2^24), Errc::unsupported for a derivation that we
/// do not know.
[[nodiscard]] Result<void> check_work_factor(const X509_SIG& encrypted);

}  // namespace culvert::crypto
