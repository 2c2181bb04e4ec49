// SPDX-License-Identifier: Apache-2.0
#include "net/interface.hpp"

#include <gtest/gtest.h>

namespace culvert::net {
namespace {

// What it chooses among several is tried in a namespace, by tests/python.
TEST(Interface, HasAddresses) {
  const auto addresses = interface_addresses("lo");
  ASSERT_TRUE(addresses) << addresses.error().message;
  EXPECT_TRUE(addresses->front().is_v4());
  ASSERT_LE(addresses->size(), 2u);
  if (addresses->size() == 2) EXPECT_TRUE(addresses->back().is_v6());
}

TEST(Interface, SaysWhatIsWrong) {
  for (const std::string name : {"", "nowhere0", "lo/../lo", "a name that is too long for an interface"}) {
    const auto addresses = interface_addresses(name);
    ASSERT_FALSE(addresses) << name;
    EXPECT_EQ(addresses.error().message, "there is no such interface") << name;
    EXPECT_EQ(addresses.error().code, Errc::system);
  }
}

}  // namespace
}  // namespace culvert::net
