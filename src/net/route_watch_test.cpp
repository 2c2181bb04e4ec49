// SPDX-License-Identifier: Apache-2.0
#include "net/route_watch.hpp"

#include <cstring>

#include <gtest/gtest.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

namespace culvert::net {
namespace {

template <class Payload>
Bytes message(std::uint16_t type, const Payload& payload, const Bytes& attributes = {}) {
  nlmsghdr head{};
  head.nlmsg_type = type;
  head.nlmsg_len = static_cast<std::uint32_t>(NLMSG_ALIGN(sizeof head + sizeof payload) + attributes.size());
  Bytes bytes(head.nlmsg_len);
  std::memcpy(bytes.data(), &head, sizeof head);
  std::memcpy(bytes.data() + sizeof head, &payload, sizeof payload);
  std::copy(attributes.begin(), attributes.end(),
            bytes.end() - static_cast<std::ptrdiff_t>(attributes.size()));
  return bytes;
}

Bytes attribute(std::uint16_t type, std::uint32_t value) {
  const nlattr head = {.nla_len = sizeof(nlattr) + sizeof value, .nla_type = type};
  Bytes bytes(head.nla_len);
  std::memcpy(bytes.data(), &head, sizeof head);
  std::memcpy(bytes.data() + sizeof head, &value, sizeof value);
  return bytes;
}

TEST(RouteChange, IsOfTheInterfacesThatAreNamed) {
  ifinfomsg link{};
  link.ifi_index = 3;
  ifaddrmsg address{};
  address.ifa_index = 4;
  RouteChange change;
  Bytes both = message(RTM_NEWLINK, link);
  const Bytes second = message(RTM_DELADDR, address);
  both.insert(both.end(), second.begin(), second.end());
  change.add(both);
  change.add(message(RTM_NEWROUTE, rtmsg{}, attribute(RTA_OIF, 5)));
  for (const unsigned interface : {3U, 4U, 5U}) EXPECT_TRUE(change.is_of(interface)) << interface;
  for (const unsigned interface : {1U, 2U, 6U}) EXPECT_FALSE(change.is_of(interface)) << interface;
}

TEST(RouteChange, OneOfSeveralWaysIsOfAll) {
  RouteChange change;
  change.add(message(RTM_NEWROUTE, rtmsg{}, attribute(RTA_MULTIPATH, 0)));
  EXPECT_TRUE(change.is_of(77));
}

TEST(RouteChange, WhatIsCutOffIsNothing) {
  ifinfomsg link{};
  link.ifi_index = 3;
  const Bytes whole = message(RTM_NEWLINK, link);
  RouteChange change;
  for (std::size_t size = 0; size < whole.size(); ++size) change.add(ByteView(whole).first(size));
  EXPECT_FALSE(change.is_of(3));
}

}  // namespace
}  // namespace culvert::net
