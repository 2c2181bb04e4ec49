// SPDX-License-Identifier: Apache-2.0
#include "net/addresses.hpp"

#include <cstdlib>

#include <sys/resource.h>

#include <gtest/gtest.h>
#include <boost/asio/ip/address.hpp>

#include "tests/support/network_namespace.hpp"

namespace culvert::net {
namespace {

using testing::in_namespace;

bool is_own_text(const char* address) { return is_own(IpAddress::parse(address).value()); }

TEST(Addresses, AreOursWhoeverMakesThemSo) {
  in_namespace([] {
    ASSERT_EQ(std::system("ip link set lo up && ip addr add 10.10.0.2/24 dev lo && "
                          "ip addr add 2001:db8::2/128 dev lo && ip link add far type veth && "
                          "ip link set far up && ip addr add 10.20.0.1/24 dev far && "
                          "ip route add local 10.9.0.0/16 dev lo && "
                          "ip -6 route add local 2001:db8:9::/48 dev lo && "
                          "ip route add blackhole 10.30.0.0/16"),
              0);
    for (const char* const own : {"127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "10.10.0.2", "10.20.0.1",
                                  "2001:db8::2", "10.9.1.1", "2001:db8:9::1"})
      EXPECT_TRUE(is_own_text(own)) << own;
    // On a link, behind no route, and in a hole.
    for (const char* const other : {"10.20.0.2", "192.0.2.1", "2001:db8:8::1", "10.30.0.1"})
      EXPECT_FALSE(is_own_text(other)) << other;
  });
}

TEST(Addresses, OfALinkAreOursThereAndAtOnce) {
  in_namespace([] {
    ASSERT_EQ(std::system("ip link add here type veth peer name there && ip link set here up && "
                          "ip link set there up && ip addr add 192.0.2.1/24 dev here && "
                          "ip addr add fe80::1/64 dev here nodad"),
              0);
    const auto has = [](const char* address) { return has_address(boost::asio::ip::make_address(address)); };
    EXPECT_TRUE(has("fe80::1%here"));
    EXPECT_FALSE(has("fe80::1%there"));
    EXPECT_FALSE(has("192.0.2.2"));
    EXPECT_TRUE(has("192.0.2.1"));
    EXPECT_TRUE(is_own_text("192.0.2.1"));
    ASSERT_EQ(std::system("ip addr del 192.0.2.1/24 dev here"), 0);
    EXPECT_FALSE(has("192.0.2.1"));
  });
}

TEST(Addresses, WithoutADescriptorTheyCanStillBeTold) {
  in_namespace([] {
    ASSERT_EQ(std::system("ip link set lo up && ip route add local 10.9.0.0/16 dev lo"), 0);
    ASSERT_TRUE(learn_own_addresses());
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none = before;
    none.rlim_cur = 0;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    const bool ours = is_own_text("10.9.1.1");
    const bool others = is_own_text("192.0.2.1");
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_TRUE(ours);
    EXPECT_FALSE(others);
  });
}

}  // namespace
}  // namespace culvert::net
