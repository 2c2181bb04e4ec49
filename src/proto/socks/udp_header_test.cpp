// SPDX-License-Identifier: Apache-2.0
#include "proto/socks/udp_header.hpp"

#include <string>

#include <gtest/gtest.h>

namespace culvert::socks {
namespace {

using namespace std::string_literals;

Result<UdpRequest> read(const std::string& bytes) { return read_udp_request(as_bytes(bytes)); }

TEST(UdpHeader, AnAddressIsRead) {
  const auto datagram = "\0\0\0\x01\xC0\x00\x02\x07\x12\x34"s + "data";
  const auto v4 = read(datagram).value();
  EXPECT_EQ(std::get<Ipv4>(v4.host), (Ipv4{192, 0, 2, 7}));
  EXPECT_EQ(v4.port, 0x1234);
  EXPECT_EQ(as_text(v4.data), "data");

  const auto long_one = "\0\0\0\x04\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x35"s;
  const auto v6 = read(long_one).value();
  EXPECT_EQ(ip_text(std::get<Ipv6>(v6.host)), "2001:db8::1");
  EXPECT_EQ(v6.port, 53);
  EXPECT_TRUE(v6.data.empty());
}

TEST(UdpHeader, ANameIsRead) {
  const auto datagram =
      "\xFF\xFF\0\x03\x02"
      "db\x00\x35?"s;
  const auto request = read(datagram).value();
  EXPECT_EQ(std::get<std::string_view>(request.host), "db");
  EXPECT_EQ(request.port, 53);
  EXPECT_EQ(as_text(request.data), "?");
}

TEST(UdpHeader, AFragmentIsUnsupported) {
  for (const char fragment : {'\x01', '\x80', '\xFF'}) {
    const auto request = read("\0\0"s + fragment + "\x01\xC0\x00\x02\x07\x12\x34"s);
    ASSERT_FALSE(request);
    EXPECT_EQ(request.error().code, Errc::unsupported);
  }
}

TEST(UdpHeader, WhatIsNotWholeIsMalformed) {
  for (const std::string& whole : {"\0\0\0\x01\xC0\x00\x02\x07\x12\x34"s,
                                   "\0\0\0\x03\x02"
                                   "db\x00\x35"s,
                                   "\0\0\0\x04\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x35"s}) {
    ASSERT_TRUE(read(whole));
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const auto request = read(whole.substr(0, size));
      ASSERT_FALSE(request) << size;
      EXPECT_EQ(request.error().code, Errc::malformed);
    }
  }
  EXPECT_FALSE(read("\0\0\0\x02\xC0\x00\x02\x07\x12\x34"s)) << "a type that is none";
  EXPECT_FALSE(read("\0\0\0\x03\x00\x00\x35"s)) << "a name without a letter";
  EXPECT_FALSE(
      read("\0\0\0\x03\x03"
           "d\0b\x00\x35"s))
      << "a name with a NUL";
}

TEST(UdpHeader, AnAnswerSaysWhomItComesFrom) {
  EXPECT_EQ(as_text(UdpHeader(Ipv4{192, 0, 2, 7}, 0x1234).bytes()), "\0\0\0\x01\xC0\x00\x02\x07\x12\x34"s);
  const UdpHeader v6(*parse_ipv6("2001:db8::1"), 53);
  EXPECT_EQ(as_text(v6.bytes()), "\0\0\0\x04\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x35"s);
}

}  // namespace
}  // namespace culvert::socks
