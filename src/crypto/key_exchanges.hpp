// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: what the rows of key exchanges make.
#pragma once

#include <cstdint>
#include <memory>

#include "crypto/key_exchange.hpp"

namespace culvert::crypto {

enum class EcdhCurve : std::uint8_t { nistp256, nistp384, nistp521 };
enum class DhGroup : std::uint8_t { group14, group16 };

/// RFC 8731.
[[nodiscard]] std::unique_ptr<KeyExchange> make_curve25519();
/// RFC 5656 section 4.
[[nodiscard]] std::unique_ptr<KeyExchange> make_ecdh(EcdhCurve curve);
/// RFC 4253 section 8, RFC 8268.
[[nodiscard]] std::unique_ptr<KeyExchange> make_dh(DhGroup group);
/// RFC 10042.
[[nodiscard]] std::unique_ptr<KeyExchange> make_mlkem768x25519();

}  // namespace culvert::crypto
