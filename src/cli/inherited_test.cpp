// SPDX-License-Identifier: Apache-2.0
#include "cli/inherited.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include <gtest/gtest.h>

namespace culvert::cli {
namespace {

// Which of 3 to 20 are open behind it, in a process that had them all; those that children would get are
// negative.
std::vector<int> left_with(const std::vector<std::string_view>& arguments) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int report = ::dup2(ends[1], 1);
    for (int fd = 3; fd <= 20; ++fd) ::dup2(report, fd);
    close_inherited(arguments);
    for (int fd = 3; fd <= 20; ++fd) {
      const int flags = ::fcntl(fd, F_GETFD);
      const int word = flags == FD_CLOEXEC ? fd : -fd;
      if (flags >= 0 && ::write(report, &word, sizeof word) != sizeof word) ::_exit(1);
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  std::vector<int> left;
  for (int word = 0; ::read(ends[0], &word, sizeof word) == sizeof word;) left.push_back(word);
  ::close(ends[0]);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  return left;
}

TEST(Inherited, AllAreClosed) { EXPECT_EQ(left_with({"-N", "host"}), std::vector<int>()); }

TEST(Inherited, ThoseThatAreNamedStayForThisProcessAlone) {
  EXPECT_EQ(left_with({"-F", "/dev/fd/9", "-i/proc/self/fd/3", "-oUserKnownHostsFile=/dev/fd/20 /dev/fd/19"}),
            std::vector<int>({3, 9, 19, 20}));
}

TEST(Inherited, WhatNamesNoneIsPassedOver) {
  EXPECT_EQ(left_with({"/dev/fd/", "/dev/fd/x", "/dev/fd/4294967295", "/dev/fd/99999999999", "/dev/fd/2",
                       "/dev/fd/-5", "/dev/fd/4000"}),
            std::vector<int>());
}

}  // namespace
}  // namespace culvert::cli
