// SPDX-License-Identifier: Apache-2.0
// Lines of the log as JSON: whatever text goes in, one line that a strict parser takes comes out.
#include "base/log_json.hpp"

#include <cstdint>
#include <cstdlib>

#include <boost/json/parse.hpp>

#include "base/bytes.hpp"
#include "base/text.hpp"

using namespace culvert;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(ByteView(data, size));
  LogFields fields;
  fields.add("user", text);
  const std::string line = json_line({{}, LogLevel::notice, "login", text.substr(size / 2)}, fields);
  if (!is_printable(line)) std::abort();
  boost::json::error_code error;
  const auto parsed = boost::json::parse(line, error);
  if (error || parsed.at("event").as_string() != "login") std::abort();
  const std::string_view user = parsed.at("user").as_string();
  if (!is_printable(user) || (is_printable(text) && user != text)) std::abort();
  return 0;
}
