// SPDX-License-Identifier: Apache-2.0
#include "daemon/signals.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

namespace culvert::daemon {
namespace {

namespace asio = boost::asio;

/// What is ignored stays so, and whoever runs the tests (nohup, a shell's `&`) may have had signals ignored.
class NotIgnored {
 public:
  NotIgnored() {
    for (std::size_t i = 0; i < kNumbers.size(); ++i) before_[i] = ::signal(kNumbers[i], SIG_DFL);
  }
  ~NotIgnored() {
    for (std::size_t i = 0; i < kNumbers.size(); ++i) ::signal(kNumbers[i], before_[i]);
  }
  NotIgnored(const NotIgnored&) = delete;
  NotIgnored& operator=(const NotIgnored&) = delete;

 private:
  static constexpr std::array kNumbers{SIGINT, SIGTERM, SIGHUP, SIGUSR1};
  std::array<sighandler_t, kNumbers.size()> before_{};
};

class SignalsTest : public ::testing::Test {
  NotIgnored not_ignored_;
};
using SignalsDeathTest = SignalsTest;

int first_of(std::initializer_list<int> raised) {
  asio::io_context io;
  Signals signals(io.get_executor(), nullptr);
  int got = 0;
  asio::co_spawn(io, [&]() -> asio::awaitable<void> { got = co_await signals.next(); }, asio::detached);
  io.poll();
  for (const int number : raised) ::raise(number);
  io.run();
  return got;
}

TEST_F(SignalsTest, TheFirstOneIsTold) {
  EXPECT_EQ(first_of({SIGTERM}), SIGTERM);
  EXPECT_EQ(first_of({SIGINT}), SIGINT);
  EXPECT_EQ(first_of({SIGHUP}), SIGHUP);
  EXPECT_EQ(first_of({SIGTERM, SIGHUP, SIGHUP}), SIGTERM);
}

TEST_F(SignalsTest, AQuestionIsToldEachTimeAndEndsNothing) {
  asio::io_context io;
  Signals signals(io.get_executor(), nullptr);
  std::vector<int> got;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        do got.push_back(co_await signals.next());
        while (got.back() == SIGUSR1);
      },
      asio::detached);
  for (int i = 0; i < 2; ++i) {
    io.poll();
    ::raise(SIGUSR1);
  }
  io.poll();
  EXPECT_EQ(got, (std::vector{SIGUSR1, SIGUSR1}));
  ::raise(SIGUSR1);
  ::raise(SIGUSR1);
  ::raise(SIGTERM);
  io.run();
  EXPECT_EQ(got.back(), SIGTERM);
}

TEST_F(SignalsTest, WhatWasIgnoredStaysIgnored) {
  const auto before = ::signal(SIGHUP, SIG_IGN);
  EXPECT_EQ(first_of({SIGHUP, SIGINT}), SIGINT);
  EXPECT_EQ(::signal(SIGHUP, before), SIG_IGN);
}

TEST_F(SignalsDeathTest, TheSecondOneEndsTheProcessWithLastWords) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto last_words = [] { [[maybe_unused]] const auto sent = ::write(2, "bye", 3); };
  EXPECT_EXIT(
      {
        asio::io_context io;
        Signals signals(io.get_executor(), last_words);
        ::raise(SIGHUP);
        ::raise(SIGHUP);
        ::raise(SIGINT);
      },
      ::testing::ExitedWithCode(130), "bye");
}

}  // namespace
}  // namespace culvert::daemon
