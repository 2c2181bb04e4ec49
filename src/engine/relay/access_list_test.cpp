// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/access_list.hpp"

#include <gtest/gtest.h>

namespace culvert::relay {
namespace {

using enum AccessList::Answer;

bool allows(const AccessList& list, const char* host) { return list.allows(HostPort{host, 4711}); }

AccessList list_of(std::initializer_list<std::pair<AccessList::Answer, const char*>> entries) {
  AccessList list;
  for (const auto& [answer, network] : entries) EXPECT_TRUE(list.add(answer, network)) << network;
  return list;
}

TEST(AccessList, AnEmptyOneLetsEverybodyIn) {
  EXPECT_TRUE(AccessList().empty());
  EXPECT_TRUE(allows(AccessList(), "192.0.2.1"));
  EXPECT_TRUE(allows(AccessList(), "db"));
}

TEST(AccessList, AllowAloneRefusesTheRest) {
  const auto list = list_of({{allow, "192.0.2.0/24"}, {allow, "2001:db8::/32"}});
  EXPECT_TRUE(allows(list, "192.0.2.255"));
  EXPECT_FALSE(allows(list, "192.0.3.0"));
  EXPECT_TRUE(allows(list, "2001:db8::7"));
  EXPECT_FALSE(allows(list, "2001:db9::"));
  EXPECT_FALSE(allows(list, "db"));
}

TEST(AccessList, DenyAloneAllowsTheRest) {
  const auto list = list_of({{deny, "192.0.2.0/24"}});
  EXPECT_FALSE(allows(list, "192.0.2.1"));
  EXPECT_TRUE(allows(list, "192.0.3.1"));
  EXPECT_TRUE(allows(list, "::1"));
}

TEST(AccessList, TheFirstThatFitsDecides) {
  const auto hole = list_of({{deny, "192.0.2.7"}, {allow, "192.0.2.0/24"}});
  EXPECT_FALSE(allows(hole, "192.0.2.7"));
  EXPECT_TRUE(allows(hole, "192.0.2.8"));
  EXPECT_FALSE(allows(hole, "192.0.3.8"));
  const auto no_hole = list_of({{allow, "192.0.2.0/24"}, {deny, "192.0.2.7"}});
  EXPECT_TRUE(allows(no_hole, "192.0.2.7"));
  const auto all_but = list_of({{deny, "10.0.0.0/8"}, {allow, "all"}});
  EXPECT_FALSE(allows(all_but, "10.1.2.3"));
  EXPECT_TRUE(allows(all_but, "11.1.2.3"));
  EXPECT_TRUE(allows(all_but, "2001:db8::1"));
}

TEST(AccessList, KnowsAnAddressHoweverItIsWritten) {
  const auto list = list_of({{deny, "::ffff:192.0.2.0/120"}, {deny, "fe80::/10"}});
  EXPECT_FALSE(allows(list, "192.0.2.1"));
  EXPECT_FALSE(allows(list, "::ffff:192.0.2.1"));
  EXPECT_FALSE(allows(list, "fe80::1%eth0"));
}

TEST(AccessList, WhoHasNoAddressIsAmongAllAlone) {
  for (const Endpoint& nobody :
       {Endpoint(UnixPath{}), Endpoint(UnixPath{"/run/x"}), Endpoint(HostPort{"db", 1})}) {
    EXPECT_FALSE(list_of({{allow, "0.0.0.0/0"}, {allow, "::/0"}}).allows(nobody));
    EXPECT_TRUE(list_of({{deny, "0.0.0.0/0"}}).allows(nobody));
    EXPECT_TRUE(list_of({{deny, "10.0.0.0/8"}, {allow, "all"}}).allows(nobody));
    EXPECT_FALSE(list_of({{deny, "all"}}).allows(nobody));
  }
}

TEST(AccessList, RefusesWhatIsNoNetwork) {
  AccessList list;
  for (const char* wrong : {"", "ALL", "192.0.2.1/24", "192.0.2/24", "example.org", "::1/129"}) {
    const auto added = list.add(deny, wrong);
    ASSERT_FALSE(added) << wrong;
    EXPECT_EQ(added.error().code, Errc::malformed);
  }
  EXPECT_TRUE(list.empty());
}

}  // namespace
}  // namespace culvert::relay
