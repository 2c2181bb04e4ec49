// SPDX-License-Identifier: Apache-2.0
// Host names that known_hosts hides: "|1|SALT|HASH", base64 of a salt and of the HMAC-SHA1 of the name with
// that salt.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert::files {

inline constexpr std::size_t kHostSaltSize = 20;  ///< bytes

struct HashedHost {
  Bytes salt, hash;  ///< 20 bytes each

  [[nodiscard]] static Result<HashedHost> parse(std::string_view text);
  /// `name` in lower case; `salt`: 20 bytes.
  [[nodiscard]] static HashedHost of(std::string_view name, Bytes salt);

  [[nodiscard]] bool matches(std::string_view name) const;
  [[nodiscard]] std::string text() const;
};

}  // namespace culvert::files
