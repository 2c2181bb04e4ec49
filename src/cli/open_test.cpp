// SPDX-License-Identifier: Apache-2.0
#include "cli/open.hpp"

#include <gtest/gtest.h>

namespace culvert::cli {
namespace {

using gateway::Protocol;
using mapper::Port;

Result<daemon::Plan> plan_of_open(std::vector<std::string_view> words) {
  SubcommandLine line;
  TRY(read_open_line(words, Environment{}, line));
  return line.plan;
}

TEST(OpenLine, NamesPorts) {
  const auto plan = plan_of_open({"8080", "53/udp", "7000-7001/tcp+udp"});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->gateway->ports, (std::vector<Port>{{Protocol::tcp, 8080, 8080},
                                                     {Protocol::udp, 53, 53},
                                                     {Protocol::tcp, 7000, 7000},
                                                     {Protocol::tcp, 7001, 7001},
                                                     {Protocol::udp, 7000, 7000},
                                                     {Protocol::udp, 7001, 7001}}));
  EXPECT_TRUE(plan->gateway->is_required);
  EXPECT_FALSE(plan->gateway->listeners);
  EXPECT_TRUE(plan->direct.empty());
  EXPECT_EQ(plan->gateway->lifetime, std::chrono::hours(2));
}

TEST(OpenLine, AnotherPortOfThisMachineIsLeftToTheRouter) {
  const auto plan = plan_of_open({"443/tcp+udp", "--to", "8443", "--lifetime", "1h"});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->gateway->ports,
            (std::vector<Port>{{Protocol::tcp, 8443, 443}, {Protocol::udp, 8443, 443}}));
  EXPECT_TRUE(plan->direct.empty());
  EXPECT_EQ(plan->gateway->lifetime, std::chrono::hours(1));
}

TEST(OpenLine, WhereARouterCannotLeadAForwardDoes) {
  for (const char* to :
       {"localhost:8443", "127.0.0.1:8443", "[::1]:8443", "db.example:8443", "192.0.2.7:8443"}) {
    const auto plan = plan_of_open({"443", "--to", to});
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_TRUE(plan->gateway->ports.empty());
    EXPECT_TRUE(plan->gateway->listeners);
    ASSERT_EQ(plan->direct.size(), 1U) << to;
    const daemon::DirectForward& forward = plan->direct[0].forwards.at(0);
    EXPECT_EQ(forward.listen.endpoint, relay::Endpoint(relay::HostPort{"*", 443}));
    EXPECT_EQ(forward.outside, 443);
    EXPECT_EQ(std::get<relay::HostPort>(forward.targets.at(0)).port, 8443);
  }
}

TEST(OpenLine, TakesNoTwoQuestionsAtOnce) {
  for (const std::vector<std::string_view>& words : {std::vector<std::string_view>{"--json", "80"},
                                                     {"--list", "80"},
                                                     {"--list", "--close", "80"},
                                                     {"--close"}})
    EXPECT_FALSE(plan_of_open(words)) << words.front();
}

TEST(OpenLine, NamesEachPortOnce) {
  const auto complaint = [](std::vector<std::string_view> words) {
    const auto plan = plan_of_open(std::move(words));
    return plan ? "" : plan.error().message;
  };
  EXPECT_EQ(complaint({"8080", "8080"}), "open: port 8080/tcp is named twice");
  EXPECT_EQ(complaint({"8080", "8079-8081/tcp"}), "open: port 8080/tcp is named twice");
  EXPECT_EQ(complaint({"53/tcp+udp", "53/udp"}), "open: port 53/udp is named twice");
  EXPECT_EQ(complaint({"53/tcp", "53/udp", "54-55"}), "");
}

}  // namespace
}  // namespace culvert::cli
