// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: what the key exchanges have in common.
#pragma once

#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/key_exchange.hpp"

namespace culvert::crypto {

/// RFC 4251 section 5, written straight into memory that is wiped. `magnitude`: big-endian, leading zeros
/// allowed.
[[nodiscard]] SharedSecret encode_as_mpint(ByteView magnitude);
[[nodiscard]] SharedSecret encode_as_string(ByteView bytes);

/// Errc::protocol with the disconnect reason "key exchange failed".
[[nodiscard]] std::unexpected<Error> bad_public_value(std::string_view why);

}  // namespace culvert::crypto
