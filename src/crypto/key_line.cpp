// SPDX-License-Identifier: Apache-2.0
#include "crypto/key_line.hpp"
#include "base/text.hpp"
#include "crypto/base64.hpp"

namespace culvert::crypto {

Result<KeyLine> split_key_line(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::string_view type = next_word(line, kBlank);
  const std::string_view digits = next_word(line, kBlank);
  if (digits.empty()) return fail(Errc::malformed, "line is not a public key");
  return KeyLine{type, TRY(base64_decode(digits))};
}

}  // namespace culvert::crypto
