// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/grouped_target.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/relay/balancing_dialer.hpp"
#include "net/resolver.hpp"
#include "net/udp_socket.hpp"
#include "tests/support/udp_peer.hpp"

namespace culvert::relay {
namespace {

using testing::udp_at;

class GroupedTargetTest : public ::testing::Test {
 protected:
  GroupedTarget make(std::initializer_list<const char*> hosts, AccessList access = {},
                     std::shared_ptr<Rate> flows = {}, TargetGroupOptions options = {}) {
    std::vector<std::unique_ptr<ResolvedTarget>> targets;
    std::vector<Endpoint> endpoints;
    for (const char* const host : hosts) {
      endpoints.emplace_back(HostPort{host, 53});
      targets.push_back(std::make_unique<ResolvedTarget>(HostPort{host, 53}, resolver_));
    }
    if (hosts.size() > 1) group_ = TargetGroup::make(std::move(endpoints), options, log_target_change);
    return {std::move(targets), group_, std::move(access), std::move(flows)};
  }
  static std::string choose(DatagramTarget& target, const std::string& client = "127.0.0.1") {
    const auto chosen = target.choose(udp_at(client, 40000));
    return chosen ? net::to_text(*chosen) : chosen.error().message;
  }

  net::Resolver resolver_{1, 4};
  std::shared_ptr<TargetGroup> group_;
};

TEST_F(GroupedTargetTest, FlowsTakeTurnsAndCountUntilTheyEnd) {
  auto target = make({"127.0.0.2", "127.0.0.3"});
  EXPECT_EQ(target.name(), "127.0.0.2:53, 127.0.0.3:53");
  for (const char* const expected : {"127.0.0.2:53", "127.0.0.3:53", "127.0.0.2:53"})
    EXPECT_EQ(choose(target), expected);
  EXPECT_EQ(group_->status()[0].streams, 2);
  target.ended(udp_at("127.0.0.2", 53), DatagramTarget::End::expired);
  EXPECT_EQ(group_->status()[0].streams, 1);
  EXPECT_EQ(group_->status()[1].streams, 1);
}

TEST_F(GroupedTargetTest, WhereNobodyIsAnotherOneIsChosen) {
  auto target = make({"127.0.0.2", "127.0.0.3"});
  for (int i = 0; i < 6; ++i) {
    const auto chosen = target.choose(udp_at("127.0.0.1", 40000)).value();
    const bool is_gone = chosen == udp_at("127.0.0.2", 53);
    target.ended(chosen, is_gone ? DatagramTarget::End::refused : DatagramTarget::End::expired);
  }
  EXPECT_FALSE(group_->status()[0].is_up);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(choose(target), "127.0.0.3:53");
}

TEST_F(GroupedTargetTest, WhatChecksHaveFoundDownIsLostUnlessAllAre) {
  const TargetGroupOptions checked{.checked = true, .rise = 1, .fall = 1};
  const auto second = udp_at("127.0.0.2", 53), third = udp_at("127.0.0.3", 53);
  auto target = make({"127.0.0.2", "127.0.0.3"}, {}, {}, checked);
  const auto lost = [&] { return std::pair(target.is_lost(second), target.is_lost(third)); };
  EXPECT_EQ(lost(), std::pair(false, false));
  for (const char* const expected : {"127.0.0.2:53", "127.0.0.3:53"}) EXPECT_EQ(choose(target), expected);
  group_->check_failed(0, "gone");
  EXPECT_EQ(lost(), std::pair(true, false));
  group_->check_failed(1, "gone, too");
  EXPECT_EQ(lost(), std::pair(false, false)) << "where else?";
  group_->check_passed(0);
  EXPECT_EQ(lost(), std::pair(false, true));
  target.ended(third, DatagramTarget::End::expired);
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  EXPECT_EQ(lost(), std::pair(false, false)) << "no flow is there";
  group_->check_passed(1);
  EXPECT_EQ(lost(), std::pair(false, false));
}

TEST_F(GroupedTargetTest, AnAnswerBringsATargetBackAndNothingElse) {
  const auto second = udp_at("127.0.0.2", 53), third = udp_at("127.0.0.3", 53);
  auto target = make({"127.0.0.2", "127.0.0.3"}, {}, {}, {.failures = 1, .back_off = Duration::zero()});
  const auto is_up = [&] { return group_->status()[0].is_up; };
  for (const char* const expected : {"127.0.0.2:53", "127.0.0.3:53"}) EXPECT_EQ(choose(target), expected);
  target.answered(third);
  target.ended(second, DatagramTarget::End::refused);
  EXPECT_FALSE(is_up());
  for (const auto how : {DatagramTarget::End::expired, DatagramTarget::End::cut}) {
    while (choose(target) != "127.0.0.2:53") {
    }
    target.ended(second, how);
    EXPECT_FALSE(is_up());
  }
  while (choose(target) != "127.0.0.2:53") {
  }
  target.answered(second);
  EXPECT_TRUE(is_up()) << "though its flow lives";
}

TEST_F(GroupedTargetTest, WhereNobodyEverAnswersItIsEnoughNotToBeRefused) {
  const auto second = udp_at("127.0.0.2", 53);
  auto target = make({"127.0.0.2", "127.0.0.3"}, {}, {}, {.failures = 1, .back_off = Duration::zero()});
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  target.ended(second, DatagramTarget::End::refused);
  for (const auto how : {DatagramTarget::End::cut, DatagramTarget::End::expired}) {
    EXPECT_FALSE(group_->status()[0].is_up);
    while (choose(target) != "127.0.0.2:53") {
    }
    target.ended(second, how);
  }
  EXPECT_TRUE(group_->status()[0].is_up);
}

TEST_F(GroupedTargetTest, OneThatHasNoAnswerYetHasNotFailed) {
  auto target = make({"name", "127.0.0.3"}, {}, {}, {.failures = 1});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(choose(target), "127.0.0.3:53");
  EXPECT_TRUE(group_->status()[0].is_up);
}

TEST_F(GroupedTargetTest, WithoutChecksFlowsStay) {
  auto target = make({"127.0.0.2", "127.0.0.3"}, {}, {}, {.failures = 1});
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  EXPECT_EQ(choose(target), "127.0.0.3:53");
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  target.ended(udp_at("127.0.0.2", 53), DatagramTarget::End::refused);
  EXPECT_FALSE(group_->status()[0].is_up);
  EXPECT_FALSE(target.is_lost(udp_at("127.0.0.2", 53)));
}

TEST_F(GroupedTargetTest, NewFlowsKeepToTheRateThatStreamsHave) {
  const auto rate = std::make_shared<Rate>(5);
  AccessList access;
  ASSERT_TRUE(access.add(AccessList::Answer::deny, "127.0.0.9"));
  auto target = make({"127.0.0.2"}, access, rate);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(choose(target, "127.0.0.9"), "not allowed from there");
  EXPECT_EQ(rate->take(3, monotonic_now()), 3) << "those cost nothing";
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  while (rate->take(1, monotonic_now()) > 0) {
  }
  const auto refused = target.choose(udp_at("127.0.0.1", 40000));
  EXPECT_EQ(refused.error().message, "more than 5 new streams a second");
  EXPECT_EQ(refused.error().code, Errc::limit) << "the log says it";
}

}  // namespace
}  // namespace culvert::relay
