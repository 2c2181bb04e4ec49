// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/prospects.hpp"

#include <gtest/gtest.h>

namespace culvert::mapper {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

const Instant kBegin = Instant(hours(1));
const Instant kLater = kBegin + seconds(4);

std::string why(const Prospects& prospects, Instant now) {
  const auto error = prospects.hopeless(now);
  return error ? error->message : "";
}

TEST(Prospects, SilenceIsBorneForAWhile) {
  const Prospects prospects(2, kBegin);
  EXPECT_EQ(why(prospects, kLater - seconds(1)), "");
  EXPECT_EQ(prospects.deadline(), kLater);
  EXPECT_EQ(why(prospects, kLater), "no answer");
}

TEST(Prospects, ARefusalOfEverythingEndsItAtOnce) {
  Prospects prospects(2, kBegin);
  prospects.refused(0, "no");
  EXPECT_EQ(why(prospects, kBegin), "");
  prospects.refused(1, "never");
  EXPECT_EQ(why(prospects, kBegin), "never");
}

TEST(Prospects, WhoRefusesOneAndIsSilentAboutTheOtherIsNotWaitedForForEver) {
  Prospects prospects(2, kBegin);
  prospects.refused(0, "no");
  EXPECT_EQ(why(prospects, kLater), "no");
}

TEST(Prospects, OneThatIsOpenIsEnough) {
  Prospects prospects(2, kBegin);
  prospects.refused(0, "no");
  prospects.opened(1);
  prospects.refused(1, "not again");  // its renewal
  EXPECT_EQ(why(prospects, kBegin + hours(9)), "");
}

TEST(Prospects, WhatIsLostHasAReasonAndAnotherChance) {
  Prospects prospects(1, kBegin);
  prospects.opened(0);
  EXPECT_EQ(prospects.lost(0, kBegin + hours(1)), "nobody answered to its renewal");
  EXPECT_EQ(why(prospects, kBegin + hours(1)), "");
  EXPECT_EQ(why(prospects, kBegin + hours(1) + seconds(4)), "no answer any more");
  prospects.opened(0);
  prospects.refused(0, "no room");
  EXPECT_EQ(prospects.lost(0, kBegin + hours(2)), "no room");
}

TEST(Prospects, AllHaveToEnd) {
  Prospects prospects(2, kBegin);
  prospects.ended(0);
  EXPECT_FALSE(prospects.all_ended());
  prospects.ended(1);
  EXPECT_TRUE(prospects.all_ended());
}

}  // namespace
}  // namespace culvert::mapper
