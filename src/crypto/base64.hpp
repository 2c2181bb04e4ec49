// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert::crypto {

/// RFC 4648 section 4, with padding, without line breaks.
[[nodiscard]] std::string base64_encode(ByteView bytes);
/// Strict: wrong characters, wrong padding, white space are Errc::malformed.
[[nodiscard]] Result<Bytes> base64_decode(std::string_view text);

}  // namespace culvert::crypto
