// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileged/helper_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include <gtest/gtest.h>

#include "net/unique_fd.hpp"

namespace culvert::daemon {
namespace {

struct PipeEnds {
  net::UniqueFd out, in;
};

PipeEnds make_pipe() {
  std::array<int, 2> ends{-1, -1};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  return {net::UniqueFd(ends[0]), net::UniqueFd(ends[1])};
}

std::string all_of(const net::UniqueFd& out) {
  std::string text;
  std::array<char, 64> some{};
  for (;;) {
    const ssize_t count = ::read(out.get(), some.data(), some.size());
    if (count <= 0) return text;
    text.append(some.data(), static_cast<std::size_t>(count));
  }
}

TEST(HelperProcess, WorksUnderItsNameAndIsWaitedFor) {
  PipeEnds said = make_pipe();
  PipeEnds life = make_pipe();
  {
    const auto helper = HelperProcess::start("culvert-test", [&] {
      life.in.reset();
      (void)all_of(life.out);  // until the parent lets go
      std::array<char, 16> name{};
      ::prctl(PR_GET_NAME, name.data(), 0, 0, 0);
      const std::string text = name.data();
      return ::write(said.in.get(), text.data(), text.size()) > 0 ? 0 : 1;
    });
    ASSERT_TRUE(helper);
    life.in.reset();
  }
  said.in.reset();
  EXPECT_EQ(all_of(said.out), "culvert-test");
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // no zombie
  EXPECT_EQ(errno, ECHILD);
}

TEST(HelperProcess, SignalsOfTheTerminalAreForTheParent) {
  PipeEnds said = make_pipe();
  {
    const auto helper = HelperProcess::start("culvert-test", [&] {
      for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1}) ::raise(number);
      return ::write(said.in.get(), "lives", 5) == 5 ? 0 : 1;
    });
    ASSERT_TRUE(helper);
  }
  said.in.reset();
  EXPECT_EQ(all_of(said.out), "lives");
}

}  // namespace
}  // namespace culvert::daemon
