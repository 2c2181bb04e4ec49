// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/endpoint.hpp"

#include <gtest/gtest.h>

namespace culvert::relay {
namespace {

TEST(Endpoint, ReadsAsPeopleWriteIt) {
  EXPECT_EQ(to_string(HostPort{"127.0.0.1", 5432}), "127.0.0.1:5432");
  EXPECT_EQ(to_string(HostPort{"db.example", 0}), "db.example:0");
  EXPECT_EQ(to_string(HostPort{"::1", 5432}), "[::1]:5432");
  EXPECT_EQ(to_string(HostPort{"fe80::1%eth0", 22}), "[fe80::1%eth0]:22");
  EXPECT_EQ(to_string(UnixPath{"/run/x.sock"}), "/run/x.sock");
  EXPECT_EQ(to_string(UnixPath{}), "unix socket");
}

TEST(Endpoint, IsFitForATerminal) {
  EXPECT_EQ(to_string(HostPort{"a\x1b[2Jb", 1}), "a\\x1b[2Jb:1");
  EXPECT_EQ(to_string(UnixPath{"/tmp/\n"}), "/tmp/\\x0a");
}

TEST(Endpoint, IsAnAddressOrNone) {
  EXPECT_EQ(address_of(HostPort{"192.0.2.1", 1}), IpAddress::parse("192.0.2.1"));
  EXPECT_EQ(address_of(HostPort{"::ffff:192.0.2.1", 1}), IpAddress::parse("192.0.2.1"));
  EXPECT_EQ(address_of(HostPort{"fe80::1%eth0", 22}), IpAddress::parse("fe80::1"));
  EXPECT_FALSE(address_of(HostPort{"db.example", 1}));
  EXPECT_FALSE(address_of(HostPort{"", 1}));
  EXPECT_FALSE(address_of(UnixPath{"192.0.2.1"}));
}

}  // namespace
}  // namespace culvert::relay
