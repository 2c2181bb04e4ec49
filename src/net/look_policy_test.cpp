// SPDX-License-Identifier: Apache-2.0
#include "net/look_policy.hpp"

#include <gtest/gtest.h>

namespace culvert::net {
namespace {

constexpr Duration kShort = LookPolicy::kShortSleep / 2;
constexpr Duration kLong = LookPolicy::kShortSleep * 2;

/// How many short sleeps it takes until it wants to look; `most` + 1: it does not.
int sleeps_to_a_look(LookPolicy& policy, int most = 4096) {
  for (int i = 0; i <= most; ++i) {
    if (policy.wants_to_look()) return i;
    policy.slept(kShort);
  }
  return most + 1;
}

TEST(LookPolicy, LooksAfterAFewShortSleeps) {
  LookPolicy policy;
  EXPECT_FALSE(policy.wants_to_look());
  EXPECT_EQ(sleeps_to_a_look(policy), LookPolicy::kFewest);
}

TEST(LookPolicy, AQuestionWithAnAnswerAndAPauseBehindItNeverLeadsToALook) {
  LookPolicy policy;
  for (int i = 0; i < 1000; ++i) {
    policy.slept(kShort);
    policy.slept(kLong);
    EXPECT_FALSE(policy.wants_to_look());
  }
}

TEST(LookPolicy, GoesOnWhileLooksFindSomething) {
  LookPolicy policy;
  sleeps_to_a_look(policy);
  for (int i = 0; i < 100; ++i) {
    policy.looked(true);
    EXPECT_TRUE(policy.wants_to_look());
  }
  for (int i = 0; i < LookPolicy::kFewest; ++i) policy.slept(kLong);
  EXPECT_EQ(sleeps_to_a_look(policy), LookPolicy::kFewest);
}

TEST(LookPolicy, LooksInVainBecomeRare) {
  LookPolicy policy;
  int expected = LookPolicy::kFewest;
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(sleeps_to_a_look(policy), expected);
    policy.looked(false);
    expected = std::min(expected * 2, LookPolicy::kMost);
  }
  EXPECT_EQ(expected, LookPolicy::kMost);
}

TEST(LookPolicy, FindsOutThatLooksHelpAgain) {
  LookPolicy policy;
  for (int i = 0; i < 12; ++i) {
    sleeps_to_a_look(policy);
    policy.looked(false);
  }
  EXPECT_EQ(sleeps_to_a_look(policy), LookPolicy::kMost);
  for (int i = 0; i < 7; ++i) policy.looked(true);
  for (int i = 0; i < LookPolicy::kMost; ++i) policy.slept(kLong);
  EXPECT_EQ(sleeps_to_a_look(policy), LookPolicy::kFewest);
}

TEST(LookPolicy, BulkTakesTheCreditAway) {
  LookPolicy policy;
  sleeps_to_a_look(policy);
  policy.in_bulk();
  EXPECT_EQ(sleeps_to_a_look(policy), LookPolicy::kFewest);
}

}  // namespace
}  // namespace culvert::net
