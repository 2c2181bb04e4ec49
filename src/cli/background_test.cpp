// SPDX-License-Identifier: Apache-2.0
#include "cli/background.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include <gtest/gtest.h>

namespace culvert::cli {
namespace {

// Runs `work` as the child of a Background whose parent is a process of its own, and gives that parent's exit
// status. `work` returns the child's exit status.
int status_of_parent(const std::function<int(Background&)>& work,
                     const std::function<void(pid_t)>& meanwhile = {}) {
  const pid_t parent = ::fork();
  if (parent == 0) {
    auto background = Background::fork();
    ::_exit(background ? work(*background) : 99);
  }
  if (meanwhile) meanwhile(parent);
  int status = 0;
  ::waitpid(parent, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(Background, TheParentLeavesWhenTheChildIsReady) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const int status = status_of_parent([&](Background& background) {
    ::close(ends[0]);
    background.ready();
    // In a session of its own, its streams away: what the test has to see goes through the pipe.
    const char word =
        ::getsid(0) == ::getpid() && ::isatty(0) == 0 && ::lseek(2, 0, SEEK_CUR) == 0 ? 'y' : 'n';
    return ::write(ends[1], &word, 1) == 1 ? 7 : 8;
  });
  EXPECT_EQ(status, 0);
  ::close(ends[1]);
  char word = 0;
  EXPECT_EQ(::read(ends[0], &word, 1), 1);
  EXPECT_EQ(word, 'y');
  ::close(ends[0]);
}

TEST(Background, TheParentLeavesWithTheStatusOfAChildThatFailed) {
  EXPECT_EQ(status_of_parent([](Background&) { return 255; }), 255);
  EXPECT_EQ(status_of_parent([](Background&) {
              ::raise(SIGKILL);
              return 0;
            }),
            128 + SIGKILL);
}

TEST(Background, SignalsToTheParentReachTheChild) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const int status = status_of_parent(
      [&](Background&) {
        const char word = 'u';
        if (::write(ends[1], &word, 1) != 1) return 1;
        for (int i = 0; i < 600; ++i) ::usleep(100'000);  // until the signal
        return 2;
      },
      [&](pid_t parent) {
        char word = 0;
        ASSERT_EQ(::read(ends[0], &word, 1), 1);
        ::kill(parent, SIGTERM);
      });
  EXPECT_EQ(status, 128 + SIGTERM);
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace culvert::cli
