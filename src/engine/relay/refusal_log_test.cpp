// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/refusal_log.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.hpp"

namespace culvert::relay {
namespace {

TEST(RefusalLog, SaysOneLineASecondAndCountsTheOthers) {
  const testing::TempDir folder;
  const std::string file = folder.path() / "log";
  ASSERT_TRUE(set_up_log(LogLevel::notice, file));
  RefusalLog refusals;
  const auto refuse = [&](LogLevel level, std::uint16_t port) {
    refusals.add(level, "127.0.0.1:8080", HostPort{"192.0.2.7", port}, "not allowed from there");
  };
  refuse(LogLevel::verbose, 1);  // nobody reads it, so it is not in the way of one that is read
  refuse(LogLevel::notice, 2);
  refuse(LogLevel::notice, 3);
  refuse(LogLevel::notice, 4);
  std::this_thread::sleep_for(std::chrono::milliseconds(1010));
  refuse(LogLevel::notice, 5);
  ASSERT_TRUE(set_up_log(LogLevel::notice, ""));
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  EXPECT_NE(text.find("127.0.0.1:8080: refused 192.0.2.7:2: not allowed from there\n"), text.npos) << text;
  EXPECT_EQ(text.find("192.0.2.7:3"), text.npos) << text;
  EXPECT_TRUE(text.ends_with("refused 192.0.2.7:5: not allowed from there (and 2 before it)\n")) << text;
}

}  // namespace
}  // namespace culvert::relay
