// SPDX-License-Identifier: Apache-2.0
#include "proto/gateway/epoch.hpp"

#include <gtest/gtest.h>

namespace culvert::gateway {
namespace {

using std::chrono::seconds;

bool fits(std::uint32_t first, std::uint32_t then, Duration between) {
  Epoch epoch;
  const Instant begin{std::chrono::hours(1)};
  EXPECT_TRUE(epoch.fits(first, begin));
  return epoch.fits(then, begin + between);
}

TEST(GatewayEpoch, GoesOnAsTimeDoes) {
  EXPECT_TRUE(fits(0, 0, seconds(0)));
  EXPECT_TRUE(fits(100, 99, seconds(0)));  // overtaken on the way
  EXPECT_FALSE(fits(100, 98, seconds(0)));
  EXPECT_TRUE(fits(100, 1100, seconds(1000)));
  EXPECT_TRUE(fits(100, 100 + 940, seconds(1000)));   // its clock is slower by a sixteenth
  EXPECT_TRUE(fits(100, 100 + 1066, seconds(1000)));  // or faster
  EXPECT_FALSE(fits(100, 100 + 930, seconds(1000)));
  EXPECT_FALSE(fits(100, 100 + 1080, seconds(1000)));
}

TEST(GatewayEpoch, ARestartShowsEvenWhenItHasCaughtUp) {
  EXPECT_FALSE(fits(100, 150, seconds(1000)));
  EXPECT_FALSE(fits(100000, 5, seconds(3600)));
}

TEST(GatewayEpoch, ALostEpochIsFollowedByTheNewOne) {
  Epoch epoch;
  const Instant begin{std::chrono::hours(1)};
  EXPECT_TRUE(epoch.fits(1000, begin));
  EXPECT_FALSE(epoch.fits(0, begin));
  EXPECT_TRUE(epoch.fits(10, begin + seconds(10)));
}

TEST(GatewayEpoch, HasRoomForTheLargestNumber) {
  EXPECT_TRUE(fits(0xFFFFFFFF, 0xFFFFFFFF, seconds(0)));
  EXPECT_FALSE(fits(0, 0xFFFFFFFF, seconds(0)));
}

}  // namespace
}  // namespace culvert::gateway
