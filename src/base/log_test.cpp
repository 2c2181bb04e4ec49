// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <regex>

#include <gtest/gtest.h>
#include <boost/json/parse.hpp>

namespace culvert {

/// Its fields have names of their own.
struct Visitor {
  std::string name;
  int age;
};
void add_fields(LogFields& fields, const Visitor& visitor) {
  fields.add("visitor", visitor.name);
  fields.add("age", visitor.age);
}

/// Its fields are named after the argument.
struct Place {
  std::string host;
  int port;
};
void add_fields(LogFields& fields, std::string_view name, const Place& place) {
  fields.add(fmt::format("{}_host", name), place.host);
  fields.add(fmt::format("{}_port", name), place.port);
}

}  // namespace culvert

template <>
struct fmt::formatter<culvert::Visitor> : fmt::formatter<std::string_view> {
  auto format(const culvert::Visitor& visitor, fmt::format_context& context) const {
    return fmt::formatter<std::string_view>::format(visitor.name, context);
  }
};

template <>
struct fmt::formatter<culvert::Place> : fmt::formatter<std::string_view> {
  auto format(const culvert::Place& place, fmt::format_context& context) const {
    return fmt::format_to(context.out(), "{}:{}", place.host, place.port);
  }
};

namespace culvert {
namespace {

class LogTest : public ::testing::Test {
 protected:
  ~LogTest() override {
    (void)set_up_log(LogLevel::notice, "");
    std::filesystem::remove(file_);
  }
  std::vector<std::string> lines() const {
    std::ifstream file(file_);
    std::vector<std::string> all;
    for (std::string line; std::getline(file, line);) all.push_back(line);
    return all;
  }
  boost::json::value last() const { return boost::json::parse(lines().back()); }

  static void say_all() {
    log_event(LogLevel::notice, "came", "{} came to {}: {:.1f} s{}", Visitor{"ann", 7},
              field("to", Place{"there", 80}), field("duration", 0.25), " in all", field("seen", false),
              optional_field("why", ""), optional_field("how", "by bus"));
  }

  const std::string file_ =
      std::filesystem::temp_directory_path() / fmt::format("culvert-log-test-{}", ::getpid());
};

TEST_F(LogTest, TextHasTheLineAlone) {
  ASSERT_TRUE(set_up_log(LogLevel::verbose, file_));
  say_all();
  log(LogLevel::verbose, "more {}", 1);
  log(LogLevel::warning, "careful");
  ASSERT_EQ(lines().size(), 3u);
  const std::string head = R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d culvert\[\d+\]: )";
  EXPECT_TRUE(std::regex_match(lines()[0], std::regex(head + "ann came to there:80: 0\\.2 s in all")))
      << lines()[0];
  EXPECT_TRUE(std::regex_match(lines()[1], std::regex(head + "debug1: more 1"))) << lines()[1];
  EXPECT_TRUE(std::regex_match(lines()[2], std::regex(head + "warning: careful"))) << lines()[2];
}

TEST_F(LogTest, JsonHasEachNamedArgumentOnce) {
  ASSERT_TRUE(set_up_log(LogLevel::notice, file_, LogFormat::json));
  say_all();
  auto line = last().as_object();
  const std::string time(line.at("time").as_string());
  EXPECT_TRUE(std::regex_match(time, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"))) << time;
  line.erase("time");
  EXPECT_EQ(
      boost::json::value(line),
      boost::json::parse(R"({"level":"notice","event":"came","message":"ann came to there:80: 0.2 s in all",
              "visitor":"ann","age":7,"to_host":"there","to_port":80,"duration":0.25,"seen":false,"how":"by bus"})"));
}

TEST_F(LogTest, JsonHasLinesWithoutAnEventToo) {
  ASSERT_TRUE(set_up_log(LogLevel::verbose, file_, LogFormat::json));
  log(LogLevel::verbose, "more {}", 1);
  EXPECT_EQ(last().at("event").as_string(), "other");
  EXPECT_EQ(last().at("level").as_string(), "verbose");
  EXPECT_EQ(last().at("message").as_string(), "more 1");
}

TEST_F(LogTest, AsksForAContextOnlyIfFieldsAreWanted) {
  int asked = 0;
  const auto say = [&asked] {
    log_event(LogLevel::notice, "came", "{} came", field("who", "ann"),
              LogContext{[&asked](LogFields& fields) {
                ++asked;
                fields.add("by", "bus");
              }});
  };
  ASSERT_TRUE(set_up_log(LogLevel::notice, file_));
  say();
  EXPECT_EQ(asked, 0);
  EXPECT_TRUE(lines().back().ends_with(": ann came"));
  ASSERT_TRUE(set_up_log(LogLevel::notice, file_, LogFormat::json));
  say();
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(last().at("by").as_string(), "bus");
}

TEST_F(LogTest, SaysNothingBelowItsLevel) {
  ASSERT_TRUE(set_up_log(LogLevel::error, file_, LogFormat::json));
  say_all();
  log(LogLevel::warning, "careful");
  EXPECT_TRUE(lines().empty());
}

}  // namespace
}  // namespace culvert
