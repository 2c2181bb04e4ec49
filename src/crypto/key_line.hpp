// SPDX-License-Identifier: Apache-2.0
// How a public key, or a certificate, stands in a text file: "type base64 [comment]".
#pragma once

#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert::crypto {

struct KeyLine {
  std::string_view type;
  Bytes blob;
};

/// What `digits` (base64) hold, which must begin with the same type (RFC 4253 section 6.6). Nothing else of
/// it is looked at. Errc::malformed.
[[nodiscard]] Result<Bytes> key_blob(std::string_view type, std::string_view digits);

/// The whole line, of which the type is a part. Errc::malformed, as key_blob().
[[nodiscard]] Result<KeyLine> split_key_line(std::string_view line);

}  // namespace culvert::crypto
