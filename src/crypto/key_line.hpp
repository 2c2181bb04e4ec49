// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: the line of a .pub file.
#pragma once

#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert::crypto {

struct KeyLine {
  std::string_view type;
  Bytes blob;
};

/// "type base64 [comment]". Errc::malformed.
[[nodiscard]] Result<KeyLine> split_key_line(std::string_view line);

}  // namespace culvert::crypto
