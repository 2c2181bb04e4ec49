// SPDX-License-Identifier: Apache-2.0
#include "net/program_output.hpp"

#include <cerrno>
#include <csignal>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/support/run_task.hpp"
#include "tests/support/temp_dir.hpp"

namespace culvert::net {
namespace {

namespace asio = boost::asio;
using testing::run;
using testing::start;

constexpr ProgramLimits kGenerous{.output = 1u << 20, .time = std::chrono::seconds(100)};

std::vector<std::string> shell(std::string script) { return {"/bin/sh", "-c", std::move(script)}; }

class ProgramOutputTest : public ::testing::Test {
 protected:
  Result<std::string> output(std::vector<std::string> words, ProgramLimits limits = kGenerous) {
    return run(context_, output_of(std::move(words), limits));
  }

  /// The pid that a script wrote there, once it did.
  static pid_t read_pid(const std::string& path) {
    pid_t pid = 0;
    std::ifstream(path) >> pid;
    return pid;
  }

  asio::io_context context_{1};
  testing::TempDir folder_;
};

TEST_F(ProgramOutputTest, IsAllThatItWrites) {
  EXPECT_EQ(output({"/bin/echo", "$HOME; a  b"}), "$HOME; a  b\n") << "no shell";
  EXPECT_EQ(output(shell("cat; echo x >/dev/stdout")), "x\n") << "no input, and a pipe";
  const auto large = output(shell("head -c 1000000 /dev/zero"));
  ASSERT_TRUE(large);
  EXPECT_EQ(large->size(), 1'000'000u);
  EXPECT_EQ(output(shell("exec >&-; sleep 0.05")), "") << "its end is waited for";
}

TEST_F(ProgramOutputTest, SaysHowItFailed) {
  const auto error = [&](std::vector<std::string> words) {
    auto text = output(std::move(words));
    return text ? Error{} : std::move(text).error();
  };
  EXPECT_EQ(error({"/nowhere/to/be/found"}).message, "No such file or directory");
  EXPECT_EQ(error({"/etc/passwd"}).message, "Permission denied");
  const auto status = error(shell("echo text; exit 3"));
  EXPECT_EQ(status.code, Errc::closed);
  EXPECT_EQ(status.message, "it exited with status 3");
  EXPECT_EQ(error(shell("kill -9 $$")).message, "it was killed by signal 9");
}

TEST_F(ProgramOutputTest, IsBounded) {
  const auto large = output({"/usr/bin/yes"}, {.output = 100'000, .time = kGenerous.time});
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Errc::limit);
  for (const std::string script : {"exec sleep 20", "exec >&-; exec sleep 20", "sleep 20 & exit 0"}) {
    const auto late = output(shell(script), {.output = 1000, .time = std::chrono::milliseconds(100)});
    ASSERT_FALSE(late) << script;
    EXPECT_EQ(late.error().code, Errc::timed_out) << script;
    EXPECT_EQ(late.error().message, "it did not end within 0.1 s");
  }
}

TEST_F(ProgramOutputTest, CancellationEndsTheProgram) {
  const std::string path = folder_.path() / "pid";
  auto running = start(context_, output_of(shell("echo $$ >" + path + "; exec sleep 100"), kGenerous));
  testing::run_until(context_, [&] {
    asio::post(context_, [] {});
    return read_pid(path) != 0;
  });
  const pid_t pid = read_pid(path);
  running.cancel();
  const auto result = running.wait();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::cancelled);
  // It is waited for as well: nobody is there any more.
  testing::run_until(context_, [&] {
    asio::post(context_, [] {});
    return ::kill(pid, 0) != 0 && errno == ESRCH;
  });
}

}  // namespace
}  // namespace culvert::net
