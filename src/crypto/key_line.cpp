// SPDX-License-Identifier: Apache-2.0
#include "crypto/key_line.hpp"

#include <algorithm>

#include "crypto/base64.hpp"

namespace culvert::crypto {

Result<KeyLine> split_key_line(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto next_word = [&line, kBlank] {
    line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
    const std::string_view word = line.substr(0, line.find_first_of(kBlank));
    line.remove_prefix(word.size());
    return word;
  };
  const std::string_view type = next_word();
  const std::string_view digits = next_word();
  if (digits.empty()) return fail(Errc::malformed, "line is not a public key");
  return KeyLine{type, TRY(base64_decode(digits))};
}

}  // namespace culvert::crypto
