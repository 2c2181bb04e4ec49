// SPDX-License-Identifier: Apache-2.0
#include "daemon/transparent_routing.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace culvert::daemon {
namespace {

IpAddress host_at(const char* text) { return IpAddress::parse(text).value(); }

std::vector<std::string> behind_the_first(const TransparentRouting& routing) {
  auto lines = routing.lines();
  EXPECT_FALSE(lines.empty());
  EXPECT_TRUE(lines.front().starts_with("transparent: ")) << lines.front();
  lines.erase(lines.begin());
  return lines;
}

using Lines = std::vector<std::string>;

TEST(TransparentRouting, NeedsNothingWithoutTargets) { EXPECT_TRUE(TransparentRouting().lines().empty()); }

TEST(TransparentRouting, AnswersFromOtherMachinesAreToldByTheirSockets) {
  TransparentRouting routing;
  for (int twice = 0; twice < 2; ++twice) routing.add(host_at("10.0.0.5"), host_at("10.0.0.1"));
  EXPECT_EQ(
      behind_the_first(routing),
      (Lines{
          "  nft add table inet culvert-answers",
          "  nft 'add chain inet culvert-answers answers { type filter hook prerouting priority mangle; }'",
          "  nft add rule inet culvert-answers answers socket transparent 1 meta mark set 1",
          "  ip rule add fwmark 1 lookup 100", "  ip route add local default dev lo table 100",
          "  on 10.0.0.5, unless its way to visitors leads here: ip route replace default via 10.0.0.1"}));
}

TEST(TransparentRouting, AnswersFromHereAreToldByTheirAddress) {
  TransparentRouting routing;
  routing.add(host_at("127.0.0.1"), host_at("127.0.0.1"));
  routing.add(host_at("::1"), host_at("::1"));
  EXPECT_EQ(behind_the_first(routing), (Lines{"  ip rule add from 127.0.0.0/8 iif lo lookup 100",
                                              "  ip route add local default dev lo table 100",
                                              "  ip -6 rule add from ::1 iif lo lookup 100",
                                              "  ip -6 route add local default dev lo table 100"}));
}

TEST(TransparentRouting, EachFamilyHasItsOwn) {
  TransparentRouting routing;
  routing.add(host_at("2001:db8::5"), host_at("2001:db8::1"));
  const auto lines = behind_the_first(routing);
  ASSERT_EQ(lines.size(), 6U);
  EXPECT_EQ(lines[3], "  ip -6 rule add fwmark 1 lookup 100");
  EXPECT_EQ(lines[4], "  ip -6 route add local default dev lo table 100");
  EXPECT_EQ(lines[5],
            "  on 2001:db8::5, unless its way to visitors leads here: ip -6 route replace default via "
            "2001:db8::1");
}

TEST(TransparentRouting, AnOwnAddressNeedsAnotherName) {
  TransparentRouting routing;
  routing.add(host_at("192.0.2.1"), host_at("192.0.2.1"));
  EXPECT_EQ(
      behind_the_first(routing),
      Lines{"  192.0.2.1 is of this machine, whose answers from there do not come back: name the target by "
            "a loopback address"});
}

}  // namespace
}  // namespace culvert::daemon
