// SPDX-License-Identifier: Apache-2.0
#include "daemon/own_listeners.hpp"

#include <cstdlib>

#include <gtest/gtest.h>

#include "tests/support/network_namespace.hpp"

namespace culvert::daemon {
namespace {

TEST(OwnListeners, AnAddressReachesOneOfOurs) {
  OwnListeners own;
  own.add(*IpAddress::parse("127.0.0.1"), 80);
  own.add(*IpAddress::parse("0.0.0.0"), 81);
  own.add(*IpAddress::parse("::"), 82);
  own.add(*IpAddress::parse("192.0.2.1"), 83);
  struct Row {
    const char* address;
    std::uint16_t port;
    bool is_reached;
  };
  const Row rows[] = {
      {"127.0.0.1", 80, true},    {"127.0.0.2", 80, false}, {"::ffff:127.0.0.1", 80, true},
      {"0.0.0.0", 80, true},      {"127.0.0.1", 79, false}, {"127.0.0.1", 81, true},
      {"127.9.9.9", 81, true},    {"0.0.0.0", 81, true},    {"192.0.2.1", 81, false},
      {"::1", 81, false},         {"::1", 82, true},        {"127.0.0.1", 82, false},
      {"2001:db8::1", 82, false}, {"192.0.2.1", 83, true},  {"192.0.2.2", 83, false},
  };
  for (const Row& row : rows)
    EXPECT_EQ(own.are_reached_at(*IpAddress::parse(row.address), row.port), row.is_reached)
        << row.address << " " << row.port;
}

// `ip route add local`: no interface has the address.
TEST(OwnListeners, AreReachedByALocalRoute) {
  testing::in_namespace([] {
    ASSERT_EQ(std::system("ip link set lo up && ip route add local 10.9.0.0/16 dev lo"), 0);
    OwnListeners own;
    own.add(*IpAddress::parse("0.0.0.0"), 9000);
    EXPECT_TRUE(own.are_reached_at(*IpAddress::parse("10.9.1.1"), 9000));
    EXPECT_FALSE(own.are_reached_at(*IpAddress::parse("10.8.1.1"), 9000));
  });
}

}  // namespace
}  // namespace culvert::daemon
