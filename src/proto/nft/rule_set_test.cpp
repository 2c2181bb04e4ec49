// SPDX-License-Identifier: Apache-2.0
#include "proto/nft/rule_set.hpp"

#include <gtest/gtest.h>

#include "proto/nft/listing.hpp"

namespace culvert::nft {
namespace {

IpAddress address(std::string_view text) { return IpAddress::parse(text).value(); }

Mapping web() {
  return {.port = 8080,
          .ports = 1,
          .targets = {address("10.0.0.5"), address("2001:db8::5")},
          .target_port = 80,
          .name = "tcp/*:8080 -> web:80"};
}

bool has(const std::string& text, std::string_view part) { return text.contains(part); }

TEST(RuleSet, IsOneTableWithMapsForEachFamily) {
  const std::string text = to_text({.label = "culvert map", .mappings = {web()}});
  EXPECT_TRUE(text.starts_with("table inet culvert {\n  comment \"culvert map\"\n"));
  EXPECT_TRUE(text.ends_with("}\n"));
  EXPECT_TRUE(has(text, "      8080 : 10.0.0.5 . 80\n"));
  EXPECT_TRUE(has(text, "      8080 : 2001:db8::5 . 80\n"));
  EXPECT_TRUE(has(text, "      original . 8080 : \"m1-to\",\n      reply . 8080 : \"m1-back\"\n"));
  EXPECT_TRUE(has(text, "ip daddr != 127.0.0.0/8 fib daddr type local dnat ip to tcp dport map @tcp4\n"));
  EXPECT_TRUE(has(text, "ip6 daddr != ::1 fib daddr type local dnat ip6 to tcp dport map @tcp6\n"));
  EXPECT_TRUE(has(text, "counter m1-new { comment \"tcp/*:8080 -> web:80\"; packets 0 bytes 0; }\n"));
}

TEST(RuleSet, HasARuleForAMapAndNotForAMapping) {
  RuleSet few{.mappings = {web()}};
  RuleSet many;
  for (std::uint16_t i = 0; i < 500; ++i) {
    many.mappings.push_back(web());
    many.mappings.back().port = static_cast<std::uint16_t>(1000 + i);
  }
  const auto chains = [](const RuleSet& rules) { return read_listing(to_text(rules)).at(0).chains; };
  EXPECT_EQ(chains(few), chains(many));
}

TEST(RuleSet, ARangeGoesOneToOne) {
  Mapping range = web();
  range.ports = 3;
  const std::string text = to_text({.mappings = {range}});
  EXPECT_TRUE(has(text, "8080 : 10.0.0.5 . 80,\n      8081 : 10.0.0.5 . 81,\n      8082 : 10.0.0.5 . 82\n"));
  EXPECT_TRUE(has(
      text,
      "type inet_service : counter\n    flags interval\n    elements = {\n      8080-8082 : \"m1-to\"\n"));
  EXPECT_FALSE(has(text, "@tcp4-traffic"));
}

TEST(RuleSet, ARangeToItselfIsOneElement) {
  Mapping range = web();
  range.port = range.target_port = 10000;
  range.ports = 10001;
  const std::string text = to_text({.mappings = {range, web()}});
  EXPECT_TRUE(
      has(text,
          "  map tcp4-range {\n    type inet_service : ipv4_addr\n    flags interval\n    elements = {\n"
          "      10000-20000 : 10.0.0.5\n    }\n"));
  EXPECT_TRUE(has(text, "dnat ip to tcp dport map @tcp4-range\n"));
  EXPECT_TRUE(has(text, "ct original proto-dst map @tcp4-range-back accept\n"));
  EXPECT_TRUE(has(text, "ct direction . ct original proto-dst map @tcp4-traffic accept\n"));
  EXPECT_LT(text.size(), 8000U);
}

TEST(RuleSet, WhatAMappingTakesHasAKey) {
  EXPECT_EQ(keys_of(web()), (std::vector<Key>{{.group = "tcp4", .first = 8080, .last = 8080},
                                              {.group = "tcp6", .first = 8080, .last = 8080}}));
  const Key range{.group = "tcp4", .first = 10, .last = 20};
  EXPECT_TRUE(range.meets(range));
  EXPECT_TRUE(range.meets({.group = "tcp4", .first = 20, .last = 30}));
  EXPECT_FALSE(range.meets({.group = "tcp4", .first = 21, .last = 30}));
  EXPECT_FALSE(range.meets({.group = "tcp4", .at = "192.0.2.1", .first = 10, .last = 20}));
  EXPECT_FALSE(range.meets({.group = "udp4", .first = 10, .last = 20}));
  EXPECT_TRUE(range.competes_with({.group = "tcp4", .at = "192.0.2.1", .first = 20, .last = 20}));
  const Key bound{.group = "tcp4", .at = "192.0.2.1", .first = 10, .last = 20};
  EXPECT_TRUE(bound.competes_with(range));
  EXPECT_TRUE(bound.competes_with(bound));
  EXPECT_FALSE(bound.competes_with({.group = "tcp4", .at = "192.0.2.2", .first = 10, .last = 20}));
  EXPECT_FALSE(bound.competes_with({.group = "tcp6", .first = 10, .last = 20}));
}

TEST(RuleSet, AnAddressIsPartOfTheKeyAndIsAskedFirst) {
  Mapping bound = web();
  bound.at = address("192.0.2.1");
  const std::string text = to_text({.mappings = {web(), bound}});
  EXPECT_TRUE(has(text, "      192.0.2.1 . 8080 : 10.0.0.5 . 80\n"));
  EXPECT_FALSE(has(text, "tcp6-bound"));
  EXPECT_LT(text.find("dnat ip to ip daddr . tcp dport map @tcp4-bound"), text.find("fib daddr type local"));
  EXPECT_TRUE(has(text,
                  "counter name ct direction . ct original ip daddr . ct original proto-dst map "
                  "@tcp4-bound-traffic accept"));
}

TEST(RuleSet, AWholeProtocolHasNoPorts) {
  const Mapping gre{.protocol = 47, .targets = {address("10.0.0.5")}};
  const std::string text = to_text({.mappings = {gre}});
  EXPECT_TRUE(has(text, "type inet_proto : ipv4_addr\n    size 1\n    elements = {\n      47 : 10.0.0.5\n"));
  EXPECT_TRUE(has(text, "dnat ip to meta l4proto map @whole4\n"));
}

TEST(RuleSet, ProtocolsHaveTheirOwnPorts) {
  RuleSet rules;
  for (const std::uint8_t protocol : {kTcp, kUdp, kSctp, kDccp}) {
    EXPECT_TRUE(has_ports(protocol));
    rules.mappings.push_back(web());
    rules.mappings.back().protocol = protocol;
  }
  EXPECT_FALSE(has_ports(47));
  const std::string text = to_text(rules);
  for (const std::string_view name : {"tcp", "udp", "sctp", "dccp"})
    EXPECT_TRUE(has(text, std::string(name) + " dport map @" + std::string(name) + "6\n")) << name;
}

TEST(RuleSet, MasqueradesOnlyClientsOfThisMachineUnlessAsked) {
  EXPECT_TRUE(has(to_text({.mappings = {web()}}), "    fib saddr type local oif != \"lo\" masquerade\n"));
  EXPECT_TRUE(has(to_text({.masquerade = true, .mappings = {web()}}), "\n    masquerade\n"));
}

TEST(RuleSet, CountersBeginWhereTheyWere) {
  Mapping mapping = web();
  mapping.traffic = {.connections = 1, .packets_to = 2, .bytes_to = 3, .packets_back = 4, .bytes_back = 5};
  const auto tables = read_listing(R"(table inet culvert {
	counter m1-new {
		comment "x"
		packets 1 bytes 0
	}

	counter m1-to {
		packets 2 bytes 3
	}

	counter m1-back {
		packets 4 bytes 5
	}
}
)");
  EXPECT_EQ(traffic_of(tables.at(0), 0), mapping.traffic);
  EXPECT_EQ(traffic_of(tables.at(0), 1), Traffic());
  const std::string text = to_text({.mappings = {mapping}});
  EXPECT_TRUE(has(text, "m1-new { comment \"tcp/*:8080 -> web:80\"; packets 1 bytes 0; }"));
  EXPECT_TRUE(has(text, "packets 2 bytes 3; }"));
  EXPECT_TRUE(has(text, "packets 4 bytes 5; }"));
}

TEST(RuleSet, NothingInACommentEndsIt) {
  EXPECT_EQ(comment_of("a\"b\\c\nd\xff"), "a?b?c?d?");
  EXPECT_EQ(comment_of(std::string(500, 'x')).size(), kLongestComment);
}

TEST(RuleSet, NoTwoMappingsTakeTheSame) {
  Mapping range = web(), bound = web(), udp = web(), gre{.protocol = 47, .targets = web().targets};
  range.port = 8078;
  range.ports = 3;
  range.name = "range";
  bound.at = address("192.0.2.1");
  udp.protocol = kUdp;
  EXPECT_EQ(overlap({.mappings = {web(), range}}), std::pair(web().name, range.name));
  range.ports = 2;
  EXPECT_EQ(overlap({.mappings = {web(), range, bound, udp, gre}}), std::nullopt);
  EXPECT_TRUE(overlap({.mappings = {gre, gre}}));
  Mapping v4 = web(), v6 = web();
  v4.targets.pop_back();
  v6.targets.erase(v6.targets.begin());
  EXPECT_EQ(overlap({.mappings = {v4, v6}}), std::nullopt);
}

TEST(RuleSet, IsReplacedInOneTransaction) {
  const RuleSet rules{.table = "culvert-2", .mappings = {web()}};
  EXPECT_EQ(replace_text(rules), "add table inet culvert-2\ndelete table inet culvert-2\n" + to_text(rules));
  EXPECT_EQ(remove_text("culvert-2"), "delete table inet culvert-2\n");
}

}  // namespace
}  // namespace culvert::nft
