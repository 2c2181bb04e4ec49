// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/proxy_header.hpp"

#include <string>

#include <gtest/gtest.h>

namespace culvert::relay {
namespace {

std::string line_about(const Endpoint& origin, std::optional<Endpoint> connected_to = std::nullopt) {
  return std::string(as_text(encode_v1(header_of(KnownVisit(origin, std::move(connected_to))))));
}

TEST(ProxyHeaderOfAVisit, HasBothAddresses) {
  EXPECT_EQ(line_about(HostPort{"203.0.113.9", 40000}, HostPort{"192.0.2.1", 443}),
            "PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n");
  EXPECT_EQ(line_about(HostPort{"fe80::2%eth0", 40000}, HostPort{"fe80::1%eth0", 443}),
            "PROXY TCP6 fe80::2 fe80::1 40000 443\r\n");
  EXPECT_EQ(line_about(HostPort{"203.0.113.9", 40000}, HostPort{"2001:db8::1", 443}),
            "PROXY TCP6 ::ffff:cb00:7109 2001:db8::1 40000 443\r\n");
}

TEST(ProxyHeaderOfAVisit, SaysAnIpv4AddressAsOne) {
  EXPECT_EQ(line_about(HostPort{"::ffff:203.0.113.9", 40000}, HostPort{"::ffff:192.0.2.1", 443}),
            "PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n");
}

TEST(ProxyHeaderOfAVisit, IsAboutTheVisitorWhateverElseIsUnknown) {
  EXPECT_EQ(line_about(HostPort{"203.0.113.9", 40000}, HostPort{"localhost", 8080}),
            "PROXY TCP4 203.0.113.9 0.0.0.0 40000 8080\r\n");
  EXPECT_EQ(line_about(HostPort{"2001:db8::9", 40000}, HostPort{"", 8080}),
            "PROXY TCP6 2001:db8::9 :: 40000 8080\r\n");
  EXPECT_EQ(line_about(HostPort{"203.0.113.9", 40000}), "PROXY TCP4 203.0.113.9 0.0.0.0 40000 0\r\n");
  EXPECT_EQ(line_about(HostPort{"visitor.example", 1}, HostPort{"192.0.2.1", 443}), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(line_about(UnixPath{}, HostPort{"192.0.2.1", 443}), "PROXY UNKNOWN\r\n");
}

TEST(ProxyHeaderOfAVisit, IsReadAsTheSameVisit) {
  const KnownVisit visits[] = {
      KnownVisit(HostPort{"203.0.113.9", 40000}, HostPort{"192.0.2.1", 443}),
      KnownVisit(HostPort{"2001:db8::9", 1}, HostPort{"2001:db8::1", 65535}),
  };
  for (const KnownVisit& visit : visits) {
    const auto again = visit_in(header_of(visit));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->origin(), visit.origin());
    EXPECT_EQ(again->connected_to(), visit.connected_to());
  }
}

TEST(ProxyHeaderOfAVisit, IsOneThatEverybodyTakes) {
  for (const KnownVisit& visit :
       {KnownVisit(HostPort{"visitor.example", 1}), KnownVisit(UnixPath{}, UnixPath{"/run/web"})}) {
    EXPECT_EQ(header_of(visit).command, proxyproto::Header::Command::local);
    EXPECT_EQ(encode_v2(header_of(visit)).size(), 16U);
  }
}

TEST(ProxyHeaderOfAVisit, MayBeToAUnixSocket) {
  const auto visit = visit_in({.addresses = proxyproto::UnixAddresses{"", "/run/web"}});
  ASSERT_TRUE(visit);
  EXPECT_EQ(visit->origin(), Endpoint(UnixPath{}));
  EXPECT_EQ(visit->connected_to(), Endpoint(UnixPath{"/run/web"}));
}

TEST(ProxyHeaderOfAVisit, OnlyThatOfAStreamCounts) {
  auto header = header_of(KnownVisit(HostPort{"203.0.113.9", 40000}));
  EXPECT_TRUE(visit_in(header));
  header.transport = proxyproto::Header::Transport::datagram;
  EXPECT_FALSE(visit_in(header));
  header.transport = proxyproto::Header::Transport::stream;
  header.command = proxyproto::Header::Command::local;
  EXPECT_FALSE(visit_in(header));
  EXPECT_FALSE(visit_in(proxyproto::Header{}));
}

}  // namespace
}  // namespace culvert::relay
