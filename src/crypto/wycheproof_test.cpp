// SPDX-License-Identifier: Apache-2.0
#include "crypto/wycheproof_test.hpp"

#include <charconv>
#include <fstream>
#include <iterator>

#include <boost/json/parse.hpp>

namespace culvert::crypto {

std::optional<boost::json::value> load_vectors(std::string_view name) {
  const std::string path =
      std::string(CULVERT_SOURCE_DIR) + "/../shared/vectors/wycheproof/" + std::string(name);
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return boost::json::parse(text);
}

std::string text_field(const boost::json::value& object, std::string_view name) {
  return std::string(object.at(name).as_string());
}

Bytes hex_field(const boost::json::value& object, std::string_view name) {
  const std::string digits = text_field(object, name);
  Bytes bytes(digits.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char* at = digits.data() + 2 * i;
    std::from_chars(at, at + 2, bytes[i], 16);
  }
  return bytes;
}

Verdict verdict(const boost::json::value& test) {
  const std::string result = text_field(test, "result");
  if (result == "valid") return Verdict::valid;
  return result == "acceptable" ? Verdict::acceptable : Verdict::invalid;
}

}  // namespace culvert::crypto
