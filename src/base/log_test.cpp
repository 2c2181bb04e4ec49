// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <regex>
#include <sstream>

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

/// Standard error is a pipe, for as long as this lives.
class StandardErrorPipe {
 public:
  StandardErrorPipe() : before_(::dup(STDERR_FILENO)) {
    std::array<int, 2> ends;
    if (::pipe(ends.data()) != 0) return;
    read_ = ends[0];
    ::fcntl(read_, F_SETFL, O_NONBLOCK);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[1]);
  }
  ~StandardErrorPipe() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
    ::close(read_);
  }
  StandardErrorPipe(StandardErrorPipe&&) = delete;

  std::string take() const {
    std::string all;
    std::array<char, 4096> some;
    for (ssize_t got; (got = ::read(read_, some.data(), some.size())) > 0;) {
      all.append(some.data(), static_cast<std::size_t>(got));
    }
    return all;
  }

 private:
  int before_;
  int read_ = -1;
};

class StalledLogTest : public LogTest, public ::testing::WithParamInterface<LogFormat> {};

TEST_P(StalledLogTest, AReaderOfStandardErrorWhoStallsHoldsUpNobody) {
  const StandardErrorPipe standard_error;
  ASSERT_TRUE(set_up_log(LogLevel::notice, "", GetParam()));
  auto done = std::async(std::launch::async, [] {
    for (int i = 0; i < 10000; ++i) log(LogLevel::notice, "line {:04}", i);
  });
  const bool in_time = done.wait_for(std::chrono::seconds(60)) == std::future_status::ready;
  std::string all = standard_error.take();
  while (done.wait_for(std::chrono::milliseconds(10)) != std::future_status::ready)
    all += standard_error.take();
  ASSERT_TRUE(in_time);

  log(LogLevel::notice, "again");
  all += standard_error.take();
  int lines = 0;
  std::string last, before_last;
  std::istringstream text(all);
  for (std::string line; std::getline(text, line); ++lines)
    before_last = std::exchange(last, std::move(line));
  const std::string told = fmt::format("{} lines were dropped here: nobody read them", 10000 - (lines - 2));
  if (GetParam() == LogFormat::text) {
    EXPECT_EQ(before_last, "culvert: warning: " + told);
    EXPECT_EQ(last, "culvert: again");
  } else {
    const auto object = boost::json::parse(before_last).as_object();
    EXPECT_EQ(object.at("level").as_string(), "warning");
    EXPECT_EQ(object.at("message").as_string(), told);
    EXPECT_EQ(object.at("dropped").as_int64(), 10000 - (lines - 2));
    EXPECT_EQ(boost::json::parse(last).as_object().at("message").as_string(), "again");
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, StalledLogTest, ::testing::Values(LogFormat::text, LogFormat::json),
                         [](const auto& form) { return form.param == LogFormat::text ? "text" : "json"; });

TEST_F(LogTest, SaysNothingBelowItsLevel) {
  ASSERT_TRUE(set_up_log(LogLevel::error, file_, LogFormat::json));
  say_all();
  log(LogLevel::warning, "careful");
  EXPECT_TRUE(lines().empty());
}

}  // namespace
}  // namespace culvert
