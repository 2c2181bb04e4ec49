// SPDX-License-Identifier: Apache-2.0
#include "proto/nft/listing.hpp"

#include <gtest/gtest.h>

namespace culvert::nft {
namespace {

TEST(Listing, HasTablesChainsAndKeys) {
  const auto tables = read_listing(R"(# Warning: table ip filter is managed by iptables-nft, do not touch!
table ip6 raw {
}
table ip filter {
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
		counter packets 0 bytes 0 jump DOCKER-USER
		tcp dport { 22, 80 } accept comment "a } in quotes"
	}

	chain DOCKER-USER {
		counter packets 0 bytes 0 return
	}
}
table inet culvert {
	comment "culvert map --kernel"
	set others {
		type ipv4_addr
		elements = { 192.0.2.1 comment "}",
			     192.0.2.2 }
	}

	set names {
		type ifname
		elements = { "eth0",
			     "eth0.7", "default" }
	}

	map tcp4 {
		type inet_service : ipv4_addr . inet_service
		elements = { 80 : 10.0.0.5 . 80,
			     8080 : 10.0.0.5 . 80, 8081 : 10.0.0.5 . 81 }
	}

	map tcp4-bound {
		type ipv4_addr . inet_service : ipv4_addr . inet_service
		elements = { 192.0.2.1 . 80 : 10.0.0.5 . 80 }
	}

	map udp4-bound-range {
		type ipv4_addr . inet_service : ipv4_addr
		flags interval
		elements = { 192.0.2.1 . 5000-5004 : 10.0.0.5 }
	}
	chain translate {
		tcp dport map @tcp4
	}
}
)");
  ASSERT_EQ(tables.size(), 3U);
  EXPECT_TRUE(tables[0].chains.empty());
  EXPECT_FALSE(tables[0].is_of_iptables);
  EXPECT_EQ(tables[1].family, "ip");
  EXPECT_TRUE(tables[1].is_of_iptables);
  ASSERT_EQ(tables[1].chains.size(), 2U);
  EXPECT_EQ(tables[1].chains[0], (Chain{.name = "FORWARD",
                                        .type = "filter",
                                        .hook = "forward",
                                        .drops = true,
                                        .rules = {"counter packets 0 bytes 0 jump DOCKER-USER",
                                                  "tcp dport { 22, 80 } accept comment \"a } in quotes\""}}));
  EXPECT_EQ(tables[1].chain("DOCKER-USER"), &tables[1].chains[1]);
  EXPECT_EQ(tables[1].chain("none"), nullptr);
  EXPECT_FALSE(tables[2].is_of_iptables);
  EXPECT_EQ(tables[2].label, "culvert map --kernel");
  EXPECT_EQ(tables[2].keys,
            (std::vector<Key>{{.group = "tcp4", .first = 80, .last = 80},
                              {.group = "tcp4", .first = 8080, .last = 8080},
                              {.group = "tcp4", .first = 8081, .last = 8081},
                              {.group = "tcp4", .at = "192.0.2.1", .first = 80, .last = 80},
                              {.group = "udp4", .at = "192.0.2.1", .first = 5000, .last = 5004}}));
  EXPECT_EQ(tables[2].sets.at("names"), (std::vector<std::string>{"eth0", "eth0.7", "default"}));
  EXPECT_EQ(tables[2].chains.size(), 1U);
}

TEST(Listing, OfTextThatEndsTooEarlyIsWhatThereWas) {
  for (const std::string_view text : {"", "}", "table", "table inet x {", "table inet x {\nchain y {",
                                      "table inet x {\nmap z {\nelements = {",
                                      "table inet x {\ncounter c {\npackets", "table {", "chain x {\n}\n"}) {
    EXPECT_LE(read_listing(text).size(), 1U) << text;
  }
}

}  // namespace
}  // namespace culvert::nft
