// SPDX-License-Identifier: Apache-2.0
#include "base/log_json.hpp"

#include <gtest/gtest.h>
#include <boost/json/parse.hpp>

#include "base/text.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

LogRecord record(std::string_view message) {
  return {.time = std::chrono::sys_time<std::chrono::milliseconds>(1'795'771'800'007ms),
          .level = LogLevel::warning,
          .event = "login",
          .message = message};
}

TEST(JsonLine, HasWhatEveryLineHasAndThenTheFields) {
  LogFields fields;
  fields.add("user", "me");
  fields.add("port", std::uint16_t{443});
  fields.add("bytes", std::uint64_t{18'446'744'073'709'551'615u});
  fields.add("signal", -1);
  fields.add("signed", true);
  EXPECT_EQ(
      json_line(record("it \"is\" me"), fields),
      R"({"time":"2026-11-27T09:30:00.007Z","level":"warning","event":"login","message":"it \"is\" me",)"
      R"("user":"me","port":443,"bytes":18446744073709551615,"signal":-1,"signed":true})");
}

TEST(JsonLine, HasSecondsAsANumber) {
  LogFields fields;
  fields.add("duration", 12.5);
  EXPECT_EQ(boost::json::parse(json_line(record(""), fields)).at("duration"), 12.5);
}

TEST(JsonLine, KeepsWhatIsPrintable) {
  LogFields fields;
  fields.add("user", printable("\x1b[2J\xff\"grüße\\"));
  const auto line = boost::json::parse(json_line(record("größer ✓ C:\\"), fields));
  EXPECT_EQ(line.at("message").as_string(), "größer ✓ C:\\");
  EXPECT_EQ(line.at("user").as_string(), "\\x1b[2J\\xff\"grüße\\\\");
}

TEST(JsonLine, IsOneLineOfUtf8WhateverGoesIn) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  LogFields fields;
  fields.add("user", all);
  const std::string line = json_line(record(all), fields);
  EXPECT_TRUE(is_printable(line)) << line;
  const auto parsed = boost::json::parse(line);
  EXPECT_EQ(parsed.at("user").as_string(), printable(all));
  EXPECT_EQ(parsed.at("message").as_string(), printable(all));
}

TEST(JsonLine, NoFieldStandsForWhatEveryLineHas) {
  LogFields fields;
  fields.add("event", "login_refused");
  EXPECT_EQ(boost::json::parse(json_line(record(""), fields)).at("event").as_string(), "login");
}

}  // namespace
}  // namespace culvert
