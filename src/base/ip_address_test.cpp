// SPDX-License-Identifier: Apache-2.0
#include "base/ip_address.hpp"

#include <string>

#include <gtest/gtest.h>

namespace culvert {
namespace {

std::string shown(std::string_view text) {
  const auto address = IpAddress::parse(text);
  return address ? address->text() : "none";
}

TEST(IpAddress, ReadsAndShowsTheShortestForm) {
  struct Row {
    std::string_view text, shown;
  };
  for (const Row& row : {Row{"192.0.2.1", "192.0.2.1"},
                         {"0.0.0.0", "0.0.0.0"},
                         {"255.255.255.255", "255.255.255.255"},
                         {"::", "::"},
                         {"::1", "::1"},
                         {"0:0:0:0:0:0:0:1", "::1"},
                         {"2001:DB8::00a1", "2001:db8::a1"},
                         {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
                         {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
                         {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
                         {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
                         {"fe80::", "fe80::"},
                         {"::ffff:127.0.0.1", "::ffff:127.0.0.1"},
                         {"::ffff:7f00:1", "::ffff:127.0.0.1"},
                         {"64:ff9b::10.1.2.3", "64:ff9b::a01:203"},
                         {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"}}) {
    EXPECT_EQ(shown(row.text), row.shown) << row.text;
  }
}

TEST(IpAddress, TakesNoOtherForm) {
  for (const std::string_view text : {"",
                                      "1",
                                      "127.1",
                                      "127.0.0",
                                      "127.0.0.1.",
                                      "127.0.0.01",
                                      "0x7f.0.0.1",
                                      "127.0.0.256",
                                      "127.0.0.1 ",
                                      " ::1",
                                      "1.2.3.4.5",
                                      "1.2.3.-4",
                                      ":",
                                      ":::",
                                      "1:",
                                      ":1",
                                      "1::2::3",
                                      "1:2:3:4:5:6:7",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1:2:3:4::5:6:7:8",
                                      "12345::",
                                      "g::",
                                      "[::1]",
                                      "fe80::1%eth0",
                                      "::1.2.3",
                                      "::1.2.3.4:5",
                                      "1.2.3.4::",
                                      "1:2:3:4:5:6:7:1.2.3.4",
                                      "1:2:3:4:5:1.2.3.4",
                                      "::1/128"}) {
    EXPECT_EQ(shown(text), "none") << text;
  }
}

TEST(IpAddress, ComesFromBytes) {
  EXPECT_EQ(IpAddress::v4(0x0a010203), *IpAddress::parse("10.1.2.3"));
  const IpAddress address = *IpAddress::parse("2001:db8::1");
  EXPECT_EQ(address.bytes().size(), 16u);
  EXPECT_EQ(*IpAddress::from_bytes(address.bytes()), address);
  EXPECT_EQ(*IpAddress::from_bytes(IpAddress::v4(1).bytes()), *IpAddress::parse("0.0.0.1"));
  EXPECT_FALSE(IpAddress::from_bytes(address.bytes().first(8)));
  EXPECT_NE(*IpAddress::parse("::"), *IpAddress::parse("0.0.0.0"));
}

TEST(IpAddress, IsNormalised) {
  struct Row {
    std::string_view text, normal;
  };
  for (const Row& row : {Row{"::ffff:127.0.0.1", "127.0.0.1"},
                         {"::127.0.0.1", "127.0.0.1"},
                         {"::2", "0.0.0.2"},
                         {"64:ff9b::7f00:1", "127.0.0.1"},
                         {"64:ff9b:1::7f00:1", "64:ff9b:1::7f00:1"},
                         {"64:ff9b::1:7f00:1", "64:ff9b::1:7f00:1"},
                         {"::", "::"},
                         {"::1", "::1"},
                         {"::ffff:0.0.0.0", "0.0.0.0"},
                         {"2001:db8::1", "2001:db8::1"},
                         {"10.1.2.3", "10.1.2.3"}}) {
    EXPECT_EQ(IpAddress::parse(row.text)->normalised().text(), row.normal) << row.text;
  }
}

TEST(IpNetwork, ReadsAndShows) {
  for (const std::string_view text : {"10.0.0.0/8", "0.0.0.0/0", "192.0.2.1", "192.0.2.128/25", "::/0",
                                      "2001:db8::/32", "::1", "fe80::/10"}) {
    const auto network = IpNetwork::parse(text);
    ASSERT_TRUE(network) << text;
    EXPECT_EQ(network->text(), text);
  }
  EXPECT_EQ(IpNetwork::parse("192.0.2.1/32")->text(), "192.0.2.1");
  for (const std::string_view text :
       {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/08", "10.0.0.0/8 ", "10.0.0.0/-1",
        "10.0.0.0/8/8", "10.0.0.0/99999999999", "10/8", "name/8"}) {
    EXPECT_FALSE(IpNetwork::parse(text)) << text;
  }
  EXPECT_EQ(IpNetwork::parse("10.0.0.1/8").error().message,
            "\"10.0.0.1/8\" is no network like 192.0.2.0/24: bits behind the prefix are set");
  EXPECT_FALSE(IpNetwork::parse("2001:db8::1/127"));
}

TEST(IpNetwork, Contains) {
  struct Row {
    std::string_view network, address;
    bool inside;
  };
  for (const Row& row : {Row{"10.0.0.0/8", "10.255.255.255", true},
                         {"10.0.0.0/8", "11.0.0.0", false},
                         {"10.0.0.0/7", "11.0.0.0", true},
                         {"0.0.0.0/0", "255.0.0.1", true},
                         {"0.0.0.0/0", "::", false},
                         {"::/0", "0.0.0.0", false},
                         {"192.0.2.128/25", "192.0.2.127", false},
                         {"192.0.2.128/25", "192.0.2.129", true},
                         {"192.0.2.1", "192.0.2.1", true},
                         {"192.0.2.1", "192.0.2.0", false},
                         {"fe80::/10", "febf::1", true},
                         {"fe80::/10", "fec0::1", false},
                         {"::1", "::1", true}}) {
    EXPECT_EQ(IpNetwork::parse(row.network)->contains(*IpAddress::parse(row.address)), row.inside)
        << row.network << " " << row.address;
  }
  const IpNetwork ten = *IpNetwork::parse("10.0.0.0/8");
  EXPECT_TRUE(ten.contains(ten));
  EXPECT_TRUE(ten.contains(*IpNetwork::parse("10.1.0.0/16")));
  EXPECT_FALSE(ten.contains(*IpNetwork::parse("10.0.0.0/7")));
}

TEST(IpNetwork, IsNormalised) {
  struct Row {
    std::string_view text, normal;
  };
  for (const Row& row : {Row{"::ffff:10.0.0.0/104", "10.0.0.0/8"},
                         {"64:ff9b::/96", "0.0.0.0/0"},
                         {"::/96", "::/96"},
                         {"::10.0.0.0/104", "10.0.0.0/8"},
                         {"::/0", "::/0"},
                         {"::1", "::1"},
                         {"10.0.0.0/8", "10.0.0.0/8"}}) {
    EXPECT_EQ(IpNetwork::parse(row.text)->normalised().text(), row.normal) << row.text;
  }
}

TEST(KnownRange, IsTheNarrowest) {
  using enum AddressKind;
  struct Row {
    std::string_view address;
    AddressKind kind;
  };
  for (const Row& row : {Row{"0.0.0.0", unspecified},
                         {"0.1.2.3", unspecified},
                         {"::", unspecified},
                         {"127.0.0.1", loopback},
                         {"127.255.255.255", loopback},
                         {"::1", loopback},
                         {"169.254.0.1", link_local},
                         {"fe80::1", link_local},
                         {"169.254.169.254", metadata},
                         {"fd00:ec2::254", metadata},
                         {"224.0.0.1", multicast},
                         {"ff02::1", multicast},
                         {"255.255.255.255", reserved},
                         {"2002:7f00:1::", transition},
                         {"64:ff9b:1::7f00:1", transition},
                         {"::ffff:0:127.0.0.1", transition},
                         {"::ffff:127.0.0.1", transition},
                         {"128.0.0.1", ordinary},
                         {"10.0.0.1", ordinary},
                         {"192.168.1.1", ordinary},
                         {"fd00::1", ordinary},
                         {"2001:db8::1", ordinary}}) {
    const auto range = known_range(*IpAddress::parse(row.address));
    EXPECT_EQ(range ? range->kind : ordinary, row.kind) << row.address;
    EXPECT_FALSE(describe(row.kind).empty());
  }
}

}  // namespace
}  // namespace culvert
