// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/outside_address.hpp"

#include <gtest/gtest.h>

namespace culvert::mapper {
namespace {

std::string why(std::string_view address) { return why_unreachable(*IpAddress::parse(address)); }

TEST(OutsideAddress, PublicOnesAreReached) {
  for (const char* address : {"203.0.113.5", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1",
                              "9.9.9.9", "2001:db8::1"}) {
    EXPECT_EQ(why(address), "") << address;
  }
}

TEST(OutsideAddress, OthersAreExplained) {
  EXPECT_TRUE(why("100.64.0.1").contains("carrier-grade NAT"));
  EXPECT_TRUE(why("100.127.255.255").contains("carrier-grade NAT"));
  for (const char* address : {"10.1.2.3", "172.16.0.1", "172.31.0.1", "192.168.178.1"})
    EXPECT_TRUE(why(address).contains("double NAT")) << address;
  EXPECT_TRUE(why("169.254.1.1").contains("link-local"));
  EXPECT_TRUE(why("127.0.0.1").contains("loopback"));
}

}  // namespace
}  // namespace culvert::mapper
