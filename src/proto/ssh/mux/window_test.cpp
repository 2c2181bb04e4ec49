// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/mux/window.hpp"

#include <random>

#include <gtest/gtest.h>

namespace culvert::ssh {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kMostCredit = std::numeric_limits<std::uint32_t>::max();

// Small, around the middle, and at the very edge of what 32 bits hold.
std::uint32_t any_size(std::mt19937_64& random) {
  switch (random() % 4) {
    case 0:
      return static_cast<std::uint32_t>(random() % 16);
    case 1:
      return static_cast<std::uint32_t>(kMostCredit - random() % 16);
    default:
      return static_cast<std::uint32_t>(random() >> (32 + random() % 32));
  }
}

TEST(ReceiveWindow, CountsAsWideNumbersWould) {
  std::mt19937_64 random(1);
  for (int run = 0; run < 200; ++run) {
    const std::uint32_t first = any_size(random);
    ReceiveWindow window(first);
    std::uint64_t outstanding = first, held = 0;
    for (int i = 0; i < 200; ++i) {
      const std::uint64_t n = any_size(random);
      switch (random() % 3) {
        case 0:
          EXPECT_EQ(window.arrived(n), n <= outstanding);
          if (n <= outstanding) outstanding -= n, held += n;
          break;
        case 1: {
          const std::uint64_t taken = std::min(n, held);
          window.consumed(taken);
          held -= taken;
          break;
        }
        default: {
          const std::uint64_t credit = std::min(n, kMostCredit - outstanding - held);
          window.granted(static_cast<std::uint32_t>(credit));
          outstanding += credit;
        }
      }
      ASSERT_EQ(window.outstanding(), outstanding);
      ASSERT_EQ(window.held(), held);
      ASSERT_EQ(window.footprint(), outstanding + held);
    }
  }
}

TEST(ReceiveWindow, MoreThanItGrantedIsRefusedAndNotCounted) {
  ReceiveWindow window(100);
  EXPECT_FALSE(window.arrived(101));
  EXPECT_FALSE(window.arrived(std::size_t{1} << 32));  // would be nothing in 32 bits
  EXPECT_TRUE(window.arrived(100));
  EXPECT_FALSE(window.arrived(1));
  EXPECT_TRUE(window.arrived(0));
  EXPECT_EQ(window.held(), 100u);
  EXPECT_EQ(window.outstanding(), 0u);
}

TEST(SendWindow, CountsAsWideNumbersWould) {
  std::mt19937_64 random(2);
  for (int run = 0; run < 200; ++run) {
    const std::uint32_t first = any_size(random);
    SendWindow window(first);
    std::uint64_t available = first;
    for (int i = 0; i < 200; ++i) {
      const std::uint32_t n = any_size(random);
      if (random() % 2 == 0) {
        EXPECT_EQ(window.adjust(n), available + n <= kMostCredit);
        if (available + n <= kMostCredit) available += n;
      } else {
        const std::uint64_t taken = std::min<std::uint64_t>(n, available);
        window.take(taken);
        available -= taken;
      }
      ASSERT_EQ(window.available(), available);
    }
  }
}

// ---- the tuner, in a closed loop: a sender that fills the window, a path, a reader

class Loop {
 public:
  Loop(std::uint32_t initial, std::uint32_t ceiling, WindowSpare spare = kWideSpare)
      : tuner(initial), ceiling_(ceiling), spare_(spare) {}

  // Lets `round_trips` pass on a path that carries at most `rate` bytes per second.
  void pass(int round_trips, Duration round_trip, std::uint64_t rate) {
    constexpr int kPieces = 16;
    for (int i = 0; i < round_trips * kPieces; ++i) {
      const auto by_path =
          static_cast<std::uint64_t>(round_trip.count()) * rate / 1'000'000;  // in one round trip
      now_ += round_trip / kPieces;
      const std::uint64_t by_credit =
          tuner.target() - WindowTuner::worth_a_message(tuner.target(), spare_);  // at worst
      tuner.consumed(std::min(by_credit, by_path) / kPieces, now_, round_trip, ceiling_, spare_);
    }
  }
  void take(std::size_t bytes) { tuner.consumed(bytes, now_, milliseconds(100), ceiling_, spare_); }
  void pause(Duration span) { now_ += span; }

  WindowTuner tuner;

 private:
  std::uint32_t ceiling_;
  WindowSpare spare_;
  Instant now_{std::chrono::hours(1)};
};

constexpr std::uint32_t kInitial = 256 * 1024;
constexpr std::uint32_t kCeiling = 64 << 20;

TEST(WindowTuner, GrowsWithEachRoundTripWhileTheWindowIsTheLimit) {
  Loop loop(kInitial, kCeiling);
  EXPECT_EQ(loop.tuner.target(), kInitial);
  loop.pass(2, milliseconds(100), 10'000'000'000);
  std::uint32_t before = loop.tuner.target();
  for (int i = 0; i < 5; ++i) {
    loop.pass(1, milliseconds(100), 10'000'000'000);
    EXPECT_GE(loop.tuner.target(), before + before / 4) << "round trip " << i;
    before = loop.tuner.target();
  }
  loop.pass(20, milliseconds(100), 10'000'000'000);
  EXPECT_EQ(loop.tuner.target(), kCeiling);
}

TEST(WindowTuner, FollowsThePath) {
  struct Path {
    Duration round_trip;
    std::uint64_t rate;
  };
  for (const Path& path : {Path{milliseconds(100), 10'000'000}, Path{milliseconds(20), 100'000'000},
                           Path{milliseconds(300), 2'000'000}}) {
    Loop loop(kInitial, kCeiling);
    loop.pass(60, path.round_trip, path.rate);
    const double product =
        static_cast<double>(path.round_trip.count()) * static_cast<double>(path.rate) / 1e6;
    const double slack = std::min(static_cast<double>(path.rate) * 0.05, 2.0 * (1 << 20));
    EXPECT_GE(loop.tuner.target(), 1.5 * product);
    EXPECT_LE(loop.tuner.target(), 2.2 * product + 1.1 * slack);
  }
}

// What is not in flight is read ahead.
TEST(WindowTuner, ANarrowSpareIsLittleAboveWhatIsInFlight) {
  Loop loop(kInitial, kCeiling, kNarrowSpare);
  int round_trips = 0;
  for (; loop.tuner.target() < 35'000'000 && round_trips < 100; ++round_trips)
    loop.pass(1, milliseconds(50), 700'000'000);
  EXPECT_LE(round_trips, 30);
  loop.pass(60, milliseconds(50), 700'000'000);
  EXPECT_GE(loop.tuner.target(), 35'000'000U + WindowTuner::worth_a_message(35'000'000, kNarrowSpare));
  EXPECT_LE(loop.tuner.target(), 35'000'000U * 17 / 16 + (1U << 20));
}

TEST(WindowTuner, OfAShortPathOnlyTheSlackRemains) {
  Loop loop(kInitial, kCeiling);
  loop.pass(100'000, std::chrono::microseconds(64), 2'000'000'000);
  EXPECT_GE(loop.tuner.target(), 2u << 20);
  EXPECT_LE(loop.tuner.target(), 3u << 20);  // nobody needs 64 MiB to his neighbour
}

TEST(WindowTuner, ShrinksGently) {
  Loop loop(kInitial, kCeiling);
  loop.pass(60, milliseconds(100), 50'000'000);
  const std::uint32_t large = loop.tuner.target();
  ASSERT_GT(large, 7u << 20);
  std::uint32_t before = large;
  for (int i = 0; i < 60; ++i) {
    loop.pass(1, milliseconds(100), 1'000'000);
    EXPECT_LE(loop.tuner.target(), before);
    EXPECT_GE(loop.tuner.target(), before - before / 8 - 1) << "in one sample, at round trip " << i;
    before = loop.tuner.target();
  }
  EXPECT_LT(before, large / 10);
  EXPECT_GE(before, kInitial);
}

TEST(WindowTuner, StaysBetweenFloorAndCeiling) {
  std::mt19937_64 random(3);
  for (int run = 0; run < 100; ++run) {
    const auto floor = static_cast<std::uint32_t>(1 + random() % (1 << 20));
    const std::uint32_t ceiling = random() % 4 == 0 ? static_cast<std::uint32_t>(kMostCredit)
                                                    : static_cast<std::uint32_t>(random() % (128 << 20));
    Instant now{seconds(100)};
    WindowTuner tuner(floor);
    for (int i = 0; i < 300; ++i) {
      now += Duration(random() % 100'000);
      tuner.consumed(any_size(random), now, Duration(random() % 500'000), ceiling,
                     run % 2 == 0 ? kWideSpare : kNarrowSpare);
      ASSERT_GE(tuner.target(), floor);
      ASSERT_LE(tuner.target(), std::max(floor, ceiling));
    }
  }
}

// A reader that slept is no slow reader: the first bytes behind a pause say nothing.
TEST(WindowTuner, APauseIsNotARate) {
  Loop loop(kInitial, kCeiling);
  loop.pass(60, milliseconds(100), 50'000'000);
  const std::uint32_t before = loop.tuner.target();
  for (int i = 0; i < 50; ++i) {
    loop.pause(seconds(60));
    loop.take(1);
  }
  EXPECT_EQ(loop.tuner.target(), before);
}

}  // namespace
}  // namespace culvert::ssh
