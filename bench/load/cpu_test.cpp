// SPDX-License-Identifier: Apache-2.0
#include "load/cpu.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace culvert::load {
namespace {

constexpr double kWork = 0.1;
constexpr double kTick = 0.02;  // two roundings of what ended children took

double own_seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

void work() {
  const double end = own_seconds(CLOCK_THREAD_CPUTIME_ID) + kWork;
  while (own_seconds(CLOCK_THREAD_CPUTIME_ID) < end) {
  }
}

TEST(CpuTime, CountsThreadsThatHaveEnded) {
  const CpuTime time(std::to_string(getpid()));
  const double before = time.seconds();
  std::thread(work).join();
  EXPECT_GE(time.seconds() - before, kWork);
}

TEST(CpuTime, CountsChildrenThatLiveAndThatHaveEnded) {
  const CpuTime time(std::to_string(getpid()) + ",0");
  const double before = time.seconds();
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  const pid_t child = fork();
  if (child == 0) {
    work();
    char byte = 'x';
    if (write(pipes[1], &byte, 1) != 1) _exit(1);
    pause();
  }
  char byte = 0;
  ASSERT_EQ(read(pipes[0], &byte, 1), 1);
  EXPECT_GE(time.seconds() - before, kWork);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_GE(time.seconds() - before, kWork - kTick);
  close(pipes[0]);
  close(pipes[1]);
}

TEST(CpuTime, IsNoneOfNothing) {
  EXPECT_EQ(CpuTime("").seconds(), 0);
  EXPECT_EQ(CpuTime("0").seconds(), 0);
}

}  // namespace
}  // namespace culvert::load
