// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/bucket.hpp"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/manual_clock.hpp"

namespace culvert::relay {
namespace {

using namespace std::chrono_literals;

TEST(Bucket, GivesASecondsWorthAtOnceAndThenWhatTimeBrings) {
  test::ManualClock clock;
  Bucket bucket;
  EXPECT_EQ(bucket.take(5000, 1000, clock.now()), 1000u);
  EXPECT_EQ(bucket.take(1, 1000, clock.now()), 0u);
  clock.advance(250ms);
  EXPECT_EQ(bucket.take(5000, 1000, clock.now()), 250u);
  bucket.give_back(50, 1000);
  EXPECT_EQ(bucket.take(5000, 1000, clock.now()), 50u);
  clock.advance(1h);  // does not pile up
  EXPECT_EQ(bucket.take(5000, 1000, clock.now()), 1000u);
}

TEST(Bucket, HoldsNothingBackWithoutARate) {
  Bucket bucket;
  EXPECT_EQ(bucket.take(1u << 30, std::nullopt, Instant{}), 1u << 30);
  bucket.give_back(17, std::nullopt);
  EXPECT_EQ(bucket.take(1, 0, test::ManualClock().now()), 0u);
}

TEST(Bucket, GivesAWholeSecondsWorthOneByOne) {
  for (const std::uint64_t rate : {1u, 3u, 7u, 49u, 1000u, 1023u, 65'537u}) {
    test::ManualClock clock;
    Bucket bucket;
    for (int second = 0; second < 3; ++second) {
      std::uint64_t taken = 0;
      while (bucket.take(1, rate, clock.now()) > 0) ++taken;
      EXPECT_GE(taken, rate) << "second " << second;
      EXPECT_LE(taken, rate + rate / 1000);
      clock.advance(1s);
    }
  }
}

TEST(Bucket, GivesWholePiecesAlone) {
  test::ManualClock clock;
  Bucket bucket;
  EXPECT_EQ(bucket.take(5000, 1000, clock.now(), 300), 900u);
  EXPECT_EQ(bucket.take(300, 1000, clock.now(), 300), 0u);
  EXPECT_EQ(bucket.take(100, 1000, clock.now(), 300), 100u) << "the last piece is smaller";
  clock.advance(299ms);
  EXPECT_EQ(bucket.take(300, 1000, clock.now(), 300), 0u);
  clock.advance(1ms);
  EXPECT_EQ(bucket.take(300, 1000, clock.now(), 300), 300u) << "what was refused cost nothing";
  clock.advance(1h);
  EXPECT_EQ(bucket.take(1001, 1000, clock.now(), 1001), 0u);
  EXPECT_EQ(bucket.take(5000, std::nullopt, clock.now(), 300), 5000u);
}

TEST(Bucket, GivesTurnsToThoseWhoWait) {
  test::ManualClock clock;
  Bucket bucket;
  const auto turn = [&](std::size_t wanted, std::size_t unit = 1) {
    const Turn got = bucket.turn(wanted, 1000, clock.now(), unit);
    return std::pair(got.count, got.at - clock.now());
  };
  EXPECT_EQ(turn(900), std::pair(std::size_t{900}, Duration(0ms)));
  EXPECT_EQ(turn(500), std::pair(std::size_t{100}, Duration(0ms))) << "what is left of the second";
  EXPECT_FALSE(bucket.has_turns(clock.now()));
  EXPECT_EQ(turn(500), std::pair(std::size_t{20}, Duration(20ms)));
  EXPECT_EQ(turn(5), std::pair(std::size_t{20}, Duration(40ms))) << "for the next ones, too";
  EXPECT_EQ(turn(500, 300), std::pair(std::size_t{300}, Duration(340ms)));
  EXPECT_TRUE(bucket.has_turns(clock.now()));
  EXPECT_EQ(bucket.take(1, 1000, clock.now()), 0u);
  bucket.give_back(300, 1000);
  EXPECT_EQ(turn(500), std::pair(std::size_t{20}, Duration(60ms)));
  clock.advance(60ms);
  EXPECT_FALSE(bucket.has_turns(clock.now()));
  clock.advance(20ms);
  EXPECT_EQ(bucket.take(500, 1000, clock.now()), 20u);
  EXPECT_EQ(turn(1001, 1001).first, 0u) << "never";
  EXPECT_EQ(bucket.turn(7, 0, clock.now()).count, 0u);
  EXPECT_EQ(bucket.turn(7, std::nullopt, clock.now()).count, 7u);
}

TEST(Bucket, GivesThoseWhoWantLittleALittle) {
  test::ManualClock clock;
  Bucket bucket;
  ASSERT_EQ(bucket.take(100'000, 100'000, clock.now()), 100'000u);
  const Turn first = bucket.turn(100, 100'000, clock.now());
  EXPECT_EQ(first.count, 400u);
  EXPECT_EQ(first.at - clock.now(), Duration(4ms));
}

// Nobody could use his turn for a while: what time has brought is not for the first one who comes again.
TEST(Bucket, GivesWhatTimeBringsInTurnsWhereOthersWait) {
  test::ManualClock clock;
  Bucket bucket;
  ASSERT_EQ(bucket.take(1000, 1000, clock.now()), 1000u);
  ASSERT_EQ(bucket.turn(500, 1000, clock.now()).at - clock.now(), Duration(20ms));
  clock.advance(500ms);
  for (int i = 0; i < 3; ++i) {
    const Turn turn = bucket.turn(500, 1000, clock.now());
    EXPECT_EQ(turn.count, 20u);
    EXPECT_EQ(turn.at - clock.now(), Duration(1us)) << "behind those that have come";
  }
  clock.advance(520ms);  // nobody has had to wait for a second
  EXPECT_EQ(bucket.turn(500, 1000, clock.now()).count, 500u);
}

TEST(Bucket, FollowsARateThatChanges) {
  test::ManualClock clock;
  Bucket bucket;
  EXPECT_EQ(bucket.take(1000, 1000, clock.now()), 1000u);
  clock.advance(500ms);
  EXPECT_EQ(bucket.take(1'000'000, 100'000, clock.now()), 50'000u);
  clock.advance(500ms);
  EXPECT_EQ(bucket.take(1000, 10, clock.now()), 5u);
}

TEST(Bucket, KeepsLongTermRatesHigh) {
  test::ManualClock clock;
  Rate rate(12'000'000'000);
  std::uint64_t passed = rate.take(std::size_t{1} << 40, clock.now());
  for (int i = 0; i < 10'000; ++i) {
    clock.advance(100us);
    for (int part = 0; part < 100; ++part) passed += rate.take(65'536, clock.now());
  }
  EXPECT_NEAR(static_cast<double>(passed), 24e9, 24e6);
}

TEST(Bucket, IsSharedByThreads) {
  test::ManualClock clock;
  Rate rate(100'000);
  std::vector<std::uint64_t> taken(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : taken)
      threads.emplace_back([&] {
        for (int i = 0; i < 100'000; ++i) mine += rate.take(1, clock.now());
      });
  }
  EXPECT_EQ(taken[0] + taken[1] + taken[2] + taken[3], 100'000u);
}

}  // namespace
}  // namespace culvert::relay
