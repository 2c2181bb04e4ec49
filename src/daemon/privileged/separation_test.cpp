// SPDX-License-Identifier: Apache-2.0
// What a process keeps. That it gives up the rest is in tests/python/test_privileges.py, with root's rights.
#include "daemon/privileged/separation.hpp"

#include <utility>

#include <gtest/gtest.h>

namespace culvert::daemon {
namespace {

constexpr Capabilities kAll = ~kNoCapabilities;

Plan plan_of(DirectPlan direct) {
  Plan plan;
  plan.direct.push_back(std::move(direct));
  return plan;
}

DirectPlan forwarding(Transport transport) {
  DirectPlan direct;
  direct.forwards.emplace_back().transport = transport;
  return direct;
}

TEST(Separation, AForwardNeedsNothingOnceItListens) {
  EXPECT_EQ(capabilities_for(plan_of(forwarding(Transport::tcp)), kAll), kNoCapabilities);
  EXPECT_EQ(capabilities_for(plan_of(forwarding(Transport::udp)), kAll), kNoCapabilities);
}

TEST(Separation, ConnectingFromALowPortIsKept) {
  DirectPlan direct = forwarding(Transport::tcp);
  direct.source = SourceAddress{*IpAddress::parse("192.0.2.1"), 1023};
  EXPECT_EQ(capabilities_for(plan_of(direct), kAll), kBindService);
  EXPECT_EQ(capabilities_for(plan_of(direct), kNetRaw), kNoCapabilities) << "what it does not have";
  for (const std::uint16_t port : {std::uint16_t{0}, std::uint16_t{1024}}) {
    direct.source->port = port;
    EXPECT_EQ(capabilities_for(plan_of(direct), kAll), kNoCapabilities) << port;
  }
}

TEST(Separation, ConnectingFromTheVisitorsAddressIsKept) {
  DirectPlan direct = forwarding(Transport::tcp);
  direct.transparent = true;
  EXPECT_EQ(capabilities_for(plan_of(direct), kAll), kNetRaw);
  EXPECT_EQ(capabilities_for(plan_of(direct), kNetAdmin), kNetAdmin) << "as its file or its unit says";
  direct.forwards.emplace_back().transport = Transport::udp;
  EXPECT_EQ(capabilities_for(plan_of(direct), kAll), kNetRaw | kBindService);
}

TEST(Separation, RulesOfTheKernelAreKeptBySomebodyElse) {
  for (const auto& [action, kept] : {std::pair(KernelPlan::Action::keep, kNoCapabilities),
                                     std::pair(KernelPlan::Action::print, kNoCapabilities),
                                     std::pair(KernelPlan::Action::clean, kNetAdmin)}) {
    Plan plan;
    plan.kernel.emplace_back().action = action;
    EXPECT_EQ(capabilities_for(plan, kAll), kept);
  }
}

}  // namespace
}  // namespace culvert::daemon
