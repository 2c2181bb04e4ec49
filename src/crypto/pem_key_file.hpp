// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: private keys in PEM files (RFC 7468; PKCS#1, SEC1, PKCS#8; the old "DEK-Info"
// encryption).
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/private_key.hpp"

namespace culvert::crypto {

/// There is a PEM block in `text` whose label ends in "PRIVATE KEY".
[[nodiscard]] bool is_pem_private_key(std::string_view text);

/// Reads the first such block. Errors as for parse_private_key(); Errc::limit where the file asks for more
/// work to derive the key than anybody would want to wait for.
[[nodiscard]] Result<PrivateKey> parse_pem_private_key(std::string_view text, const SecretBytes* passphrase);

}  // namespace culvert::crypto
