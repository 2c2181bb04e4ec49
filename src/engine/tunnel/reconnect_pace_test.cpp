// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/reconnect_pace.hpp"

#include <gtest/gtest.h>

namespace culvert::tunnel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{seconds(1000)};

TEST(ReconnectPace, BeginsAlmostAtOnce) {
  for (std::uint32_t random = 0; random < 5000; random += 7) {
    ReconnectPace pace;
    pace.connected(kStart);
    pace.lost(kStart + seconds(60));
    const Instant first = pace.next(kStart + seconds(60), random);
    EXPECT_GE(first, kStart + seconds(60));
    EXPECT_LE(first, kStart + seconds(60) + milliseconds(100));
  }
}

// Attempts that fail at once: after an outage of up to ten seconds the next one is less than a second away,
// and later never more than ten.
TEST(ReconnectPace, IsQuickAtFirstAndNeverSlow) {
  ReconnectPace pace;
  pace.connected(kStart);
  const Instant lost = kStart + seconds(3600);
  pace.lost(lost);
  Instant now = pace.next(lost, 17);
  std::uint32_t random = 1;
  Duration longest{};
  while (now - lost < seconds(600)) {
    random = random * 1664525 + 1013904223;
    const Instant next = pace.next(now, random >> 8);
    EXPECT_GT(next, now);
    if (now - lost < seconds(11)) EXPECT_LT(next - now, seconds(1));
    EXPECT_LT(next - now, seconds(10));
    longest = std::max(longest, next - now);
    now = next;
  }
  EXPECT_GT(longest, seconds(6));
}

// An attempt that took long itself is followed at once.
TEST(ReconnectPace, CountsFromTheBeginningOfAnAttempt) {
  ReconnectPace pace;
  pace.lost(kStart);
  const Instant first = pace.next(kStart, 0);
  EXPECT_EQ(pace.next(first + seconds(5), 999), first + seconds(5));
}

TEST(ReconnectPace, AConnectionThatDoesNotLastIsNoSuccess) {
  ReconnectPace pace;
  pace.connected(kStart);
  pace.lost(kStart + seconds(100));
  Instant now = kStart + seconds(200);
  (void)pace.next(now, 0);
  pace.connected(now);
  pace.lost(now + milliseconds(10));
  EXPECT_GT(pace.next(now + milliseconds(10), 0), now + seconds(5));
  // One that does begins anew.
  pace.connected(now);
  now += seconds(60);
  pace.lost(now);
  EXPECT_LE(pace.next(now, 999), now + milliseconds(100));
}

TEST(ReconnectPace, GivesASlowPathItsTime) {
  ReconnectPace pace;
  pace.lost(kStart);
  EXPECT_EQ(pace.patience(kStart + seconds(2)), seconds(1));
  EXPECT_EQ(pace.patience(kStart + seconds(40)), seconds(4));
  EXPECT_EQ(pace.patience(kStart + seconds(4000)), seconds(8));
}

// A way that takes 40 s, such as a program that has to start, is once given them.
TEST(ReconnectPace, GivesTheFirstKeysMoreTimeTheLongerItIsAway) {
  ReconnectPace pace;
  pace.lost(kStart);
  EXPECT_EQ(pace.keys_patience(kStart), seconds(10));
  EXPECT_EQ(pace.keys_patience(kStart + seconds(45)), seconds(45));
  EXPECT_EQ(pace.keys_patience(kStart + seconds(4000)), seconds(120));
}

TEST(AskAgain, IsSlowerAfterTheTimeInWhichADeadSessionGoes) {
  EXPECT_EQ(ask_again_in(seconds(0)), seconds(1));
  EXPECT_EQ(ask_again_in(seconds(59)), seconds(1));
  EXPECT_EQ(ask_again_in(seconds(100)), seconds(10));
  EXPECT_EQ(ask_again_in(seconds(4000)), seconds(30));
}

}  // namespace
}  // namespace culvert::tunnel
