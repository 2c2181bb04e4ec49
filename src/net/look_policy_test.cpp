// SPDX-License-Identifier: Apache-2.0
#include "net/look_policy.hpp"

#include <gtest/gtest.h>

namespace culvert::net {
namespace {

using std::chrono::microseconds;

/// What rounds take without looks and with them.
struct Path {
  Duration without, with;
};

/// So many rounds over `path`; how many of them were looks.
int looks(LookPolicy& policy, const Path& path, int rounds) {
  int count = 0;
  for (int i = 0; i < rounds; ++i) {
    const bool look = policy.wants_to_look();
    if (look) ++count;
    policy.round(look ? path.with : path.without);
  }
  return count;
}

constexpr Path kPays{microseconds(130), microseconds(70)};
constexpr Path kChangesNothing{microseconds(50), microseconds(50)};
constexpr int kWindow = LookPolicy::kWindow;

TEST(LookPolicy, LooksWhenRoundsWithoutHaveBeenMeasured) {
  LookPolicy policy;
  EXPECT_EQ(looks(policy, kPays, kWindow), 0);
  EXPECT_TRUE(policy.wants_to_look());
}

TEST(LookPolicy, GoesOnWhileTheyPay) {
  LookPolicy policy;
  looks(policy, kPays, kWindow);
  const int rounds = 10 * kWindow * LookPolicy::kUntilCheck;
  EXPECT_GT(looks(policy, kPays, rounds), rounds * 99 / 100) << "but for a window without them now and then";
}

TEST(LookPolicy, NotWhereTheyChangeNothing) {
  LookPolicy policy;
  const int rounds = 1'000 * kWindow;
  EXPECT_LT(looks(policy, kChangesNothing, rounds), rounds / 40);
  EXPECT_GT(looks(policy, kChangesNothing, kWindow * (LookPolicy::kMost + 1)), 0) << "that may change";
}

TEST(LookPolicy, NoticesThatTheyDoNotPayAnyMore) {
  LookPolicy policy;
  looks(policy, kPays, 100 * kWindow);
  ASSERT_TRUE(policy.wants_to_look());
  EXPECT_LE(looks(policy, {microseconds(130), microseconds(125)}, 3 * kWindow), kWindow)
      << "what they have to be faster than is remembered";

  LookPolicy other;
  looks(other, kPays, 100 * kWindow);
  const int rounds = 4 * kWindow * LookPolicy::kUntilCheck;
  EXPECT_LT(looks(other, {microseconds(70), microseconds(70)}, rounds), rounds / 2)
      << "it is faster without them, too: a window shows it";
}

TEST(LookPolicy, EndsATrialThatIsSlowerAtOnce) {
  LookPolicy policy;
  looks(policy, kPays, kWindow);
  EXPECT_LE(looks(policy, {microseconds(100), microseconds(900)}, 10), kWindow * 130 / 900 + 1)
      << "others want the processor";
}

TEST(LookPolicy, AQuestionWithAnAnswerAndAPauseBehindItNeverLeadsToALook) {
  LookPolicy policy;
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_EQ(looks(policy, kPays, 4), 0);
    EXPECT_EQ(looks(policy, {2 * LookPolicy::kPause, 2 * LookPolicy::kPause}, 1), 0);
  }
}

TEST(LookPolicy, APauseEndsThem) {
  LookPolicy policy;
  looks(policy, kPays, 10 * kWindow);
  ASSERT_TRUE(policy.wants_to_look());
  policy.round(2 * LookPolicy::kPause);
  EXPECT_FALSE(policy.wants_to_look());
  EXPECT_EQ(looks(policy, kPays, kWindow), 0);
  EXPECT_TRUE(policy.wants_to_look()) << "they have helped before: soon again";
}

TEST(LookPolicy, BulkEndsThem) {
  LookPolicy policy;
  looks(policy, kPays, 10 * kWindow);
  policy.in_bulk();
  EXPECT_FALSE(policy.wants_to_look());
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_EQ(looks(policy, kPays, 4), 0);
    policy.in_bulk();
  }
}

}  // namespace
}  // namespace culvert::net
