// SPDX-License-Identifier: Apache-2.0
#include "engine/server/guard.hpp"

#include <gtest/gtest.h>

namespace culvert::server {
namespace {

using Refused = Guard::Refused;
using std::chrono::seconds;

class GuardTest : public ::testing::Test {
 protected:
  Guard::Admission arrive(Guard& guard, const char* address) {
    return guard.arrived(*IpAddress::parse(address), now);
  }
  // A connection that comes and goes.
  Refused visit(Guard& guard, const char* address, Leaving how) {
    const auto admission = arrive(guard, address);
    if (admission.refused == Refused::no) guard.ended(admission.ticket, how, now);
    return admission.refused;
  }
  Instant now{seconds(1000)};
};

TEST_F(GuardTest, TheOldestOneGoesWhereThereIsNoRoom) {
  Guard guard({.most = 2});
  const auto first = arrive(guard, "192.0.2.1");
  const auto second = arrive(guard, "192.0.2.2");
  EXPECT_FALSE(second.leaving);
  const auto third = arrive(guard, "192.0.2.3");
  EXPECT_EQ(third.refused, Refused::no);
  EXPECT_EQ(third.leaving, first.ticket);
  const auto fourth = arrive(guard, "192.0.2.4");
  EXPECT_EQ(fourth.leaving, second.ticket) << "the first one is as good as gone";
  guard.ended(first.ticket, Leaving::refused, now);
  EXPECT_EQ(visit(guard, "192.0.2.1", Leaving::quietly), Refused::no) << "and is not punished";
  guard.logged_in(fourth.ticket);
  EXPECT_EQ(guard.waiting(), 0u);
}

TEST_F(GuardTest, OneSourceTakesNotAll) {
  Guard guard({.most_of_a_source = 2});
  const auto first = arrive(guard, "192.0.2.1");
  arrive(guard, "::ffff:192.0.2.1");  // the same one
  EXPECT_EQ(arrive(guard, "192.0.2.1").refused, Refused::too_many_of_source);
  EXPECT_EQ(arrive(guard, "192.0.2.2").refused, Refused::no);
  guard.logged_in(first.ticket);
  EXPECT_EQ(arrive(guard, "192.0.2.1").refused, Refused::no);
  arrive(guard, "2001:db8::1");
  arrive(guard, "2001:db8::2");
  EXPECT_EQ(arrive(guard, "2001:db8::3").refused, Refused::too_many_of_source);  // one network of a site
  EXPECT_EQ(arrive(guard, "2001:db8:0:1::3").refused, Refused::no);
}

TEST_F(GuardTest, PenaltiesAddUpAndMelt) {
  Guard guard({});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(visit(guard, "192.0.2.1", Leaving::refused), Refused::no);
  const auto refused = arrive(guard, "192.0.2.1");
  EXPECT_EQ(refused.refused, Refused::penalized);
  EXPECT_EQ(refused.penalty, seconds(15));
  EXPECT_EQ(visit(guard, "192.0.2.2", Leaving::quietly), Refused::no);
  now += seconds(1);
  EXPECT_EQ(visit(guard, "192.0.2.1", Leaving::too_slow), Refused::no);  // 14 s are left, and 10 are added
  EXPECT_EQ(visit(guard, "192.0.2.1", Leaving::quietly), Refused::penalized);
  now += seconds(24);
  EXPECT_EQ(visit(guard, "192.0.2.1", Leaving::without_login), Refused::no);
  EXPECT_EQ(visit(guard, "192.0.2.1", Leaving::without_login), Refused::no);
}

TEST_F(GuardTest, NoPenaltyLastsForEver) {
  Guard guard({.for_refusals = seconds(500), .longest = seconds(600)});
  // What came in before the penalty still counts afterwards.
  const auto a = arrive(guard, "192.0.2.1"), b = arrive(guard, "192.0.2.1");
  guard.ended(a.ticket, Leaving::refused, now);
  guard.ended(b.ticket, Leaving::refused, now);
  EXPECT_EQ(arrive(guard, "192.0.2.1").penalty, seconds(600));
}

TEST_F(GuardTest, LoginsAreNotPunishedNorIsWhoIsExempt) {
  Guard guard(
      {.most_of_a_source = 1, .for_refusals = seconds(100), .exempt = {*IpNetwork::parse("10.0.0.0/8")}});
  arrive(guard, "10.1.2.3");
  EXPECT_EQ(visit(guard, "10.1.2.3", Leaving::refused), Refused::no);
  EXPECT_EQ(visit(guard, "10.1.2.3", Leaving::refused), Refused::no);
  EXPECT_EQ(visit(guard, "11.1.2.3", Leaving::refused), Refused::no);
  EXPECT_EQ(visit(guard, "11.1.2.3", Leaving::refused), Refused::penalized);
}

TEST_F(GuardTest, WhatIsRememberedIsBounded) {
  Guard guard({.for_refusals = seconds(100), .most_sources = 2});
  visit(guard, "192.0.2.1", Leaving::refused);
  visit(guard, "192.0.2.2", Leaving::refused);
  EXPECT_EQ(visit(guard, "192.0.2.3", Leaving::refused), Refused::no);
  EXPECT_EQ(visit(guard, "192.0.2.3", Leaving::refused), Refused::no);  // let off
  now += seconds(101);
  visit(guard, "192.0.2.3", Leaving::refused);
  EXPECT_EQ(visit(guard, "192.0.2.3", Leaving::refused), Refused::penalized);
}

TEST_F(GuardTest, WhomNobodyKnowsIsNotPunishedAndCountsInAll) {
  Guard guard({.most = 30, .most_of_a_source = 2});
  for (int i = 0; i < 20; ++i) {
    const auto admission = guard.arrived(std::nullopt, now);
    ASSERT_EQ(admission.refused, Refused::no) << i;
    guard.ended(admission.ticket, Leaving::too_slow, now);
  }
  for (int i = 0; i < 30; ++i) EXPECT_FALSE(guard.arrived(std::nullopt, now).leaving) << i;
  EXPECT_TRUE(guard.arrived(std::nullopt, now).leaving);
}

}  // namespace
}  // namespace culvert::server
