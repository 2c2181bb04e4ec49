// SPDX-License-Identifier: Apache-2.0
#include "net/child.hpp"

#include <csignal>

#include <gtest/gtest.h>

#include "tests/support/run_task.hpp"

namespace culvert::net {
namespace {

constexpr Duration kLongEnough = std::chrono::seconds(100);

class ChildTest : public ::testing::Test {
 protected:
  Result<Child> shell(std::string script) {
    return Child::start(
        context_.get_executor(),
        {.program = "/bin/sh", .words = {"sh", "-c", std::move(script)}, .input = 0, .output = 1}, SIGKILL);
  }
  std::string end_of(std::string script) {
    const auto child = shell(std::move(script));
    if (!child) return child.error().message;
    const auto status = testing::run(context_, child->ended_within(kLongEnough));
    return status ? text_of_end(*status) : status.error().message;
  }

  boost::asio::io_context context_{1};
};

TEST_F(ChildTest, SaysHowItEnded) {
  EXPECT_EQ(end_of("exit 0"), "exited with status 0");
  EXPECT_EQ(end_of("sleep 0.05; exit 7"), "exited with status 7");
  EXPECT_EQ(end_of("kill -15 $$"), "was killed by signal 15");
  EXPECT_EQ(text_of_end(Child::kUnknownStatus), "ended in an unknown way");
}

TEST_F(ChildTest, IsWaitedForAsLongAsWanted) {
  const auto child = shell("exec sleep 100");
  ASSERT_TRUE(child);
  const auto status = testing::run(context_, child->ended_within(std::chrono::milliseconds(1)));
  EXPECT_EQ(status.error().code, Errc::timed_out);
  child->signal(SIGTERM);
  EXPECT_EQ(testing::run(context_, child->ended_within(kLongEnough)), SIGTERM);
  EXPECT_EQ(testing::run(context_, child->ended_within(Duration::zero())), SIGTERM) << "known already";
}

}  // namespace
}  // namespace culvert::net
