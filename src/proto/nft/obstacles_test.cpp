// SPDX-License-Identifier: Apache-2.0
#include "proto/nft/obstacles.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace culvert::nft {
namespace {

constexpr Passage kForwarded{.v4 = true, .v6 = true, .forwarded = true, .local = false};

std::vector<Obstacle> found(std::string_view listing, const Passage& passage = kForwarded) {
  return obstacles(read_listing(listing), passage);
}

std::string filter_with(std::string_view rules, std::string_view policy = "accept") {
  return std::string(
             "table inet filter {\n\tchain forward {\n\t\ttype filter hook forward priority filter; "
             "policy ") +
         std::string(policy) + ";\n" + std::string(rules) + "\n\t}\n}\n";
}

TEST(Obstacles, APolicyThatDropsIsOne) {
  const auto all = found(filter_with("ct state established,related accept\niifname \"lan\" accept", "drop"));
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].text(),
            "table inet filter, chain forward, drops what its own rules do not accept, whatever other tables "
            "accept; to let mapped connections through: nft insert rule inet filter forward ct status dnat "
            "accept");
}

TEST(Obstacles, AnAcceptOfWhatWasTranslatedIsEnough) {
  for (const std::string_view rule :
       {"ct status dnat accept", "ct status dnat counter packets 5 bytes 300 accept",
        "ct state new ct status dnat accept", "ct status { snat, dnat } accept", "accept",
        "ct status snat,dnat accept", "iifname \"wan\" oifname \"lan\" ct status dnat accept",
        "ct state { established, new } counter accept comment \"drop\""})
    EXPECT_TRUE(found(filter_with(rule, "drop")).empty()) << rule;
}

TEST(Obstacles, WhatMayNotFitIsNotEnough) {
  for (const std::string_view rule :
       {"ct status snat accept", "ct state established,related accept", "iifname \"eth0\" accept",
        "ct status != dnat accept", "ct state vmap { established : accept, invalid : drop }",
        "ct status dnat iifname \"eth1\" drop", "counter packets 0 bytes 0", "ct state invalid drop",
        "log prefix \"accept\""})
    EXPECT_EQ(found(filter_with(rule, "drop")).size(), 1U) << rule;
}

TEST(Obstacles, ARuleThatDropsAllIsOne) {
  EXPECT_EQ(found(filter_with("reject with icmpx admin-prohibited")).size(), 1U);
  EXPECT_EQ(found(filter_with("counter packets 1 bytes 2 drop")).size(), 1U);
  for (const std::string_view rule :
       {"log prefix \"FWD DROP \" drop", "log prefix \"a\" level debug flags tcp sequence,options drop",
        "counter packets 1 bytes 2 log flags all drop", "meta nftrace set 1 drop", "log drop",
        "log group 2 snaplen 32 ct state new reject"})
    EXPECT_EQ(found(filter_with(rule)).size(), 1U) << rule;
  for (const std::string_view rule : {"log prefix \"drop\"", "log prefix \"a\" tcp dport 25 drop",
                                      "meta mark 1 drop", "log flags all iifname \"a\" drop"})
    EXPECT_TRUE(found(filter_with(rule)).empty()) << rule;
  EXPECT_TRUE(found(filter_with("tcp dport 25 drop")).empty());
  EXPECT_TRUE(found(filter_with("ct status dnat accept\ndrop")).empty());
  EXPECT_EQ(found(filter_with("drop\nct status dnat accept")).size(), 1U);
}

TEST(Obstacles, JumpsAreFollowed) {
  const std::string listing =
      "table inet filter {\n chain forward {\n type filter hook forward priority 0; policy drop;\n jump a\n "
      "}\n"
      " chain a {\n tcp dport 5 drop\n jump b\n }\n chain b {\n ct status dnat accept\n }\n"
      " chain loop {\n jump loop\n }\n}\n";
  EXPECT_TRUE(found(listing).empty());
  EXPECT_EQ(
      found("table inet x {\nchain f {\ntype filter hook forward priority 0; policy drop;\njump f\n}\n}\n")
          .size(),
      1U);
  EXPECT_EQ(found("table inet x {\nchain f {\ntype filter hook forward priority 0; policy accept;\n"
                  "goto g\naccept\n}\nchain g {\ndrop\n}\n}\n")
                .size(),
            1U);
}

TEST(Obstacles, OnlyWhatWePassIsAsked) {
  const std::string drops = filter_with("", "drop");
  EXPECT_TRUE(found(drops, {.v4 = true, .local = true}).empty());
  const std::string input =
      "table ip6 x {\n chain in {\n type filter hook input priority filter; policy drop;\n }\n}\n";
  EXPECT_TRUE(found(input, {.v4 = true, .local = true}).empty());
  EXPECT_EQ(found(input, {.v6 = true, .local = true}).at(0).remedy,
            "nft insert rule ip6 x in ct status dnat accept");
  EXPECT_TRUE(found("table bridge x {\nchain f {\ntype filter hook forward priority 0; policy drop;\n}\n}\n")
                  .empty());
}

TEST(Obstacles, EveryHookOnTheWayIsAsked) {
  const auto remedy = [](std::string_view hook, std::string_view rule, const Passage& passage = kForwarded,
                         std::string_view table = "inet x", std::string_view before = "") {
    const auto all =
        found(fmt::format("{}table {} {{\n chain c {{\n type filter hook {}; policy drop;\n {}\n "
                          "}}\n}}\n",
                          before, table, hook, rule),
              passage);
    return all.empty() ? std::string() : all.at(0).remedy;
  };
  const std::string usual = "nft insert rule inet x c ct status dnat accept";
  for (const char* hook : {"postrouting priority srcnat", "prerouting priority filter",
                           "prerouting priority dstnat + 1", "prerouting priority -99"}) {
    EXPECT_EQ(remedy(hook, ""), usual) << hook;
    EXPECT_EQ(remedy(hook, "ct status dnat accept"), "") << hook;
  }
  // What was not translated yet cannot be known by that.
  const std::string early = "have it accept the mapped ports (it comes before they are translated)";
  for (const char* hook :
       {"prerouting priority raw", "prerouting priority mangle + 10", "prerouting priority dstnat - 1"}) {
    EXPECT_EQ(remedy(hook, "ct status dnat accept"), early) << hook;
    EXPECT_EQ(remedy(hook, "ct state new accept"), "") << hook;
  }
  const Passage local{.v4 = true, .local = true};
  EXPECT_EQ(remedy("postrouting priority srcnat", "", local), "");
  EXPECT_EQ(remedy("prerouting priority filter", "", local), usual);
  EXPECT_EQ(remedy("prerouting priority filter", "", {.v4 = true}), "");
  EXPECT_EQ(remedy("postrouting priority mangle", "", kForwarded, "ip mangle",
                   "# Warning: table ip mangle is managed by iptables-nft, do not touch!\n"),
            "iptables -t mangle -I c -m conntrack --ctstate DNAT -j ACCEPT");
}

// As Docker 28 leaves it by way of iptables-nft.
constexpr std::string_view kDocker = R"(# Warning: table ip filter is managed by iptables-nft, do not touch!
table ip filter {
	chain DOCKER {
		iifname != "docker0" oifname "docker0" counter packets 0 bytes 0 drop
	}

	chain DOCKER-FORWARD {
		counter packets 0 bytes 0 jump DOCKER-CT
		iifname "docker0" counter packets 0 bytes 0 accept
	}

	chain DOCKER-CT {
		oifname "docker0" ct state related,established counter packets 0 bytes 0 accept
	}

	chain DOCKER-USER {
	}

	chain FORWARD {
		type filter hook forward priority filter; policy drop;
		counter packets 0 bytes 0 jump DOCKER-USER
		counter packets 0 bytes 0 jump DOCKER-FORWARD
	}
}
)";

TEST(Obstacles, DockerIsNamedAndItsOwnChainUsed) {
  const auto all = found(kDocker);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(
      all[0].text(),
      "Docker: table ip filter, chain FORWARD, drops what its own rules do not accept, whatever other "
      "tables accept; to let mapped connections through: iptables -I DOCKER-USER -m conntrack --ctstate "
      "DNAT -j ACCEPT");
  std::string done(kDocker);
  done.insert(done.find("DOCKER-USER {\n") + 14, "\t\tct status dnat counter packets 0 bytes 0 accept\n");
  EXPECT_TRUE(found(done).empty());
  EXPECT_TRUE(found(kDocker, {.v6 = true, .forwarded = true}).empty());
}

// As firewalld 2.3 with StrictForwardPorts=yes.
constexpr std::string_view kFirewalld = R"(table inet firewalld { # progname firewalld
	flags owner,persist
	chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy accept;
		ct state { established, related } accept
		iifname "lo" accept
		ip6 daddr { ::/96, ::ffff:0.0.0.0/96 } reject with icmpv6 addr-unreachable
		jump filter_FORWARD_ZONES
		ct state { invalid } drop
		reject with icmpx admin-prohibited
	}

	chain filter_FORWARD_ZONES {
		iifname "eth0" goto filter_FWD_public
		goto filter_FWD_public
	}

	chain filter_FWD_public {
		jump filter_FWD_public_allow
	}

	chain filter_FWD_public_allow {
	}
}
)";

TEST(Obstacles, FirewalldIsNamedAndItsFile) {
  const auto all = found(kFirewalld);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].text(),
            "firewalld: table inet firewalld, chain filter_FORWARD, drops what its own rules do not accept, "
            "whatever other tables accept; to let mapped connections through: StrictForwardPorts=no in "
            "/etc/firewalld/firewalld.conf, then: firewall-cmd --reload");
  std::string usual(kFirewalld);
  usual.insert(usual.find("\t\tiifname \"lo\""), "\t\tct status dnat accept\n");
  EXPECT_TRUE(found(usual).empty());
}

TEST(Obstacles, WhatBelongsToAProcessTakesNoCommand) {
  EXPECT_EQ(
      found("table inet own { # progname guard\n\tflags owner\n\n\tchain forward {\n\t\ttype filter hook "
            "forward priority filter; policy drop;\n\t}\n}\n")
          .at(0)
          .remedy,
      "the table belongs to a process, which has to begin the chain with: ct status dnat accept");
}

TEST(Obstacles, NamesOfOthersAreEscaped) {
  const auto all =
      found("table inet a\x1b[1m {\nchain f {\ntype filter hook forward priority 0; policy drop;\n}\n}\n");
  ASSERT_EQ(all.size(), 1U);
  EXPECT_FALSE(all[0].text().contains('\x1b'));
}

}  // namespace
}  // namespace culvert::nft
