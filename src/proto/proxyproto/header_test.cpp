// SPDX-License-Identifier: Apache-2.0
#include "proto/proxyproto/header.hpp"

#include <string>

#include <gtest/gtest.h>

namespace culvert::proxyproto {
namespace {

using namespace std::string_literals;

const std::string kStart = "\r\n\r\n\0\r\nQUIT\n"s;

Header inet(std::string_view source, std::uint16_t source_port, std::string_view destination,
            std::uint16_t destination_port) {
  Header header;
  header.addresses =
      InetAddresses{*IpAddress::parse(source), source_port, *IpAddress::parse(destination), destination_port};
  return header;
}

std::string v1(const Header& header) { return std::string(as_text(encode_v1(header))); }
std::string v2(const Header& header) { return std::string(as_text(encode_v2(header))); }

TEST(ProxyHeader, Version1) {
  // The example of section 2.1, and its longest lines.
  EXPECT_EQ(v1(inet("192.168.0.1", 56324, "192.168.0.11", 443)),
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n");
  EXPECT_EQ(v1(inet("255.255.255.255", 65535, "255.255.255.255", 65535)),
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n");
  const std::string most = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  EXPECT_EQ(v1(inet(most, 65535, most, 65535)), "PROXY TCP6 " + most + " " + most + " 65535 65535\r\n");
  EXPECT_EQ(v1(inet("2001:db8::1", 1, "::", 0)), "PROXY TCP6 2001:db8::1 :: 1 0\r\n");
}

TEST(ProxyHeader, Version2) {
  // As nginx and haproxy send it.
  EXPECT_EQ(v2(inet("172.19.0.1", 42578, "172.19.0.3", 80)),
            kStart + "\x21\x11\x00\x0c\xac\x13\x00\x01\xac\x13\x00\x03\xa6\x52\x00\x50"s);
  EXPECT_EQ(v2(inet("2001:db8::1", 0x1234, "::1", 80)), kStart + "\x21\x21\x00\x24\x20\x01\x0d\xb8"s +
                                                            std::string(11, '\0') + "\x01"s +
                                                            std::string(15, '\0') + "\x01\x12\x34\x00\x50"s);
  Header datagram = inet("192.0.2.1", 1, "192.0.2.2", 2);
  datagram.transport = Header::Transport::datagram;
  EXPECT_EQ(v2(datagram), kStart + "\x21\x12\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x02"s);
}

TEST(ProxyHeader, UnixSockets) {
  Header header;
  header.addresses = UnixAddresses{"", "/run/web.sock"};
  EXPECT_EQ(v1(header), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(v2(header), kStart + "\x21\x31\x00\xd8"s + std::string(108, '\0') + "/run/web.sock" +
                            std::string(108 - 13, '\0'));
  header.addresses = UnixAddresses{"@name", std::string(109, 'x')};
  EXPECT_EQ(v2(header), kStart + "\x21\x31\x00\xd8\0name"s + std::string(103 + 108, '\0'));
  header.addresses = UnixAddresses{"@", ""};  // no name is empty: a path
  EXPECT_EQ(v2(header), kStart + "\x21\x31\x00\xd8@"s + std::string(107 + 108, '\0'));
  header.addresses = UnixAddresses{std::string(108, 'x'), ""};
  EXPECT_EQ(v2(header), kStart + "\x21\x31\x00\xd8"s + std::string(108, 'x') + std::string(108, '\0'));
}

TEST(ProxyHeader, MixedFamiliesGoAsIpv6) {
  EXPECT_EQ(v1(inet("192.0.2.1", 1, "2001:db8::1", 2)), "PROXY TCP6 ::ffff:c000:201 2001:db8::1 1 2\r\n");
  EXPECT_EQ(v1(inet("2001:db8::1", 1, "0.0.0.0", 2)), "PROXY TCP6 2001:db8::1 ::ffff:0:0 1 2\r\n");
  EXPECT_EQ(v2(inet("192.0.2.1", 1, "::", 2)), kStart + "\x21\x21\x00\x24"s + std::string(10, '\0') +
                                                   "\xff\xff\xc0\x00\x02\x01"s + std::string(16, '\0') +
                                                   "\x00\x01\x00\x02"s);
}

TEST(ProxyHeader, UnknownAndLocal) {
  Header header;
  EXPECT_EQ(v1(header), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(v2(header), kStart + "\x21\x00\x00\x00"s);
  header = inet("192.0.2.1", 1, "192.0.2.2", 2);
  header.command = Header::Command::local;
  EXPECT_EQ(v1(header), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(v2(header), kStart + "\x20\x00\x00\x00"s);
}

}  // namespace
}  // namespace culvert::proxyproto
