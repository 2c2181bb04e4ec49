// SPDX-License-Identifier: Apache-2.0
#include "crypto/key_line.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "crypto/base64.hpp"

namespace culvert::crypto {

Result<Bytes> key_blob(std::string_view type, std::string_view digits) {
  Bytes blob = TRY(base64_decode(digits));
  if (TRY(Reader(blob).text()) != type)
    return fail(Errc::malformed, "names another key type than its key has");
  return blob;
}

Result<KeyLine> split_key_line(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::string_view type = next_word(line, kBlank);
  const std::string_view digits = next_word(line, kBlank);
  if (digits.empty()) return fail(Errc::malformed, "not a public key");
  return KeyLine{type, TRY(key_blob(type, digits))};
}

}  // namespace culvert::crypto
