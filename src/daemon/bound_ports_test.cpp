// SPDX-License-Identifier: Apache-2.0
#include "daemon/bound_ports.hpp"

#include <gtest/gtest.h>

namespace culvert::daemon {
namespace {

namespace ip = boost::asio::ip;
using gateway::Protocol;
using mapper::Port;

net::DefaultRoute route(const char* gateway, const char* here) {
  return {ip::make_address(gateway), ip::make_address(here), "eth0", 2};
}
IpAddress address(const char* text) { return *IpAddress::parse(text); }

TEST(BoundPorts, AreReachedFromWhereTheyListen) {
  BoundPorts ports;
  ports.add(address("0.0.0.0"), Protocol::tcp, 80);
  ports.add(address("::"), Protocol::tcp, 81, 443);
  ports.add(address("192.168.1.20"), Protocol::udp, 53);
  ports.add(address("127.0.0.1"), Protocol::tcp, 5432);
  ports.add(address("::1"), Protocol::tcp, 5432);
  ports.add(address("0.0.0.0"), Protocol::tcp, 80);
  EXPECT_EQ(ports.reached_from(route("192.168.1.1", "192.168.1.20")),
            (std::vector<Port>{{Protocol::tcp, 80, 80}, {Protocol::udp, 53, 53}}));
  EXPECT_EQ(ports.reached_from(route("192.168.2.1", "192.168.2.20")),
            (std::vector<Port>{{Protocol::tcp, 80, 80}}));
  EXPECT_EQ(ports.reached_from(route("fe80::1", "2001:db8::2")),
            (std::vector<Port>{{Protocol::tcp, 81, 443}}));
}

}  // namespace
}  // namespace culvert::daemon
