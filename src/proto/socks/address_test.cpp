// SPDX-License-Identifier: Apache-2.0
#include "proto/socks/address.hpp"

#include <gtest/gtest.h>

namespace culvert::socks {
namespace {

TEST(SocksAddress, Ipv4) {
  for (const std::string_view text : {"0.0.0.0", "127.0.0.1", "255.255.255.255", "10.20.30.40"})
    EXPECT_EQ(ip_text(parse_ipv4(text).value()), text);
  for (const std::string_view text :
       {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "256.1.1.1", "01.2.3.4", "1.2.3.4 ",
        "+1.2.3.4", "0x1.2.3.4", "1.2.3.0004", "a.b.c.d"})
    EXPECT_FALSE(parse_ipv4(text)) << text;
}

// The examples of RFC 5952 sections 2 to 5.
TEST(SocksAddress, Ipv6) {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
      {"2001:DB8::AA", "2001:db8::aa"},
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
      {"::ffff:c000:201", "::ffff:192.0.2.1"},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
      {"1:2:3:4:5:6:7.8.9.10", "1:2:3:4:5:6:708:90a"},
      {"0:1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
  };
  for (const auto& [text, wanted] : rows) {
    const auto address = parse_ipv6(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(ip_text(*address), wanted);
  }
  for (const std::string_view text :
       {"", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::", "::1::", "12345::", "g::", "1:::2", "1:2:3:4:5:6:7:1.2.3.4",
        "1.2.3.4::", "::1.2.3", "[::1]", "fe80::1%lo", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "1.2.3.4"})
    EXPECT_FALSE(parse_ipv6(text)) << text;
}

TEST(SocksAddress, Authority) {
  const std::pair<std::string_view, Address> rows[] = {
      {"db.internal:5432", {"db.internal", 5432}},
      {"127.0.0.1:1", {"127.0.0.1", 1}},
      {"[2001:db8::1]:65535", {"2001:db8::1", 65535}},
  };
  for (const auto& [text, address] : rows) {
    EXPECT_EQ(parse_authority(text), address);
    EXPECT_EQ(authority(address), text);
  }
  for (const std::string_view text :
       {"",         ":",         "host",           "host:",    ":80",    "host:0",  "host:65536",
        "host:80x", "host:-1",   "a:b:80",         "::1:80",   "[::1]",  "[::1]80", "[host]:80",
        "[]:80",    "u@host:80", "http://host:80", "host:80/", "a b:80", "a\x01:80"})
    EXPECT_FALSE(parse_authority(text)) << text;
  EXPECT_TRUE(parse_authority(std::string(255, 'a') + ":80"));
  EXPECT_FALSE(parse_authority(std::string(256, 'a') + ":80"));
}

}  // namespace
}  // namespace culvert::socks
