// SPDX-License-Identifier: Apache-2.0
#include "cli/kernel_mapping.hpp"

#include <gtest/gtest.h>

namespace culvert::cli {
namespace {

using daemon::KernelForward;
using daemon::Transport;
using relay::Endpoint;
using relay::HostPort;

KernelMapping parsed(std::string_view listen, std::string_view target) {
  auto mapping = parse_kernel_mapping(listen, target);
  EXPECT_TRUE(mapping) << listen << ": " << mapping.error().message;
  return mapping ? std::move(*mapping) : KernelMapping();
}

TEST(KernelMapping, LoopbackIsForUserSpace) {
  const auto any = parsed("*:8080", "10.0.0.5:80");
  ASSERT_EQ(any.in_kernel.size(), 1U);
  EXPECT_EQ(any.in_kernel[0], (KernelForward{.protocol = 6,
                                             .bind = "*",
                                             .port = 8080,
                                             .ports = 1,
                                             .host = "10.0.0.5",
                                             .target_port = 80,
                                             .name = "tcp/*:8080 -> 10.0.0.5:80"}));
  ASSERT_EQ(any.in_user_space.size(), 1U);
  EXPECT_EQ(any.in_user_space[0].listen.endpoint, Endpoint(HostPort{"localhost", 8080}));
  EXPECT_TRUE(any.in_user_space[0].is_optional);

  const auto bound = parsed("192.0.2.1:8080", "10.0.0.5:80");
  EXPECT_EQ(bound.in_kernel.size(), 1U);
  EXPECT_TRUE(bound.in_user_space.empty());

  EXPECT_EQ(parsed("0.0.0.0:80", "a:80").in_user_space.at(0).listen.endpoint,
            Endpoint(HostPort{"127.0.0.1", 80}));
  EXPECT_EQ(parsed("[::]:80", "a:80").in_user_space.at(0).listen.endpoint, Endpoint(HostPort{"::1", 80}));

  const auto wide = parsed("udp/*:10000-20000", "10.0.0.5:10000-20000");
  EXPECT_EQ(wide.in_kernel.size(), 1U);
  EXPECT_TRUE(wide.in_user_space.empty());

  for (const std::string_view listen : {"8080", "127.0.0.9:8080", "[::1]:8080", "localhost:8080"}) {
    const auto loopback = parsed(listen, "10.0.0.5:80");
    EXPECT_TRUE(loopback.in_kernel.empty()) << listen;
    ASSERT_EQ(loopback.in_user_space.size(), 1U) << listen;
    EXPECT_FALSE(loopback.in_user_space[0].is_optional) << listen;
  }
}

TEST(KernelMapping, HasEveryProtocol) {
  struct Row {
    std::string_view listen, target;
    std::uint8_t protocol;
    std::uint16_t port, ports;
    std::string_view name;
  };
  const Row rows[] = {
      {"udp/*:53", "dns:53", 17, 53, 1, "udp/*:53 -> dns:53"},
      {"SCTP/*:5000-5002", "a:6000-6002", 132, 5000, 3, "sctp/*:5000-5002 -> a:6000-6002"},
      {"dccp/[2001:db8::1]:5", "[2001:db8::2]:6", 33, 5, 1, "dccp/[2001:db8::1]:5 -> [2001:db8::2]:6"},
      {"47/*", "10.0.0.5", 47, 0, 0, "47/* -> 10.0.0.5"},
      {"47/", "a.example", 47, 0, 0, "47/* -> a.example"},
      {"253/2001:db8::1", "[2001:db8::2]", 253, 0, 0, "253/[2001:db8::1] -> [2001:db8::2]"},
  };
  for (const Row& row : rows) {
    const auto mapping = parsed(row.listen, row.target);
    ASSERT_EQ(mapping.in_kernel.size(), 1U) << row.listen;
    const KernelForward& one = mapping.in_kernel[0];
    EXPECT_EQ(one.protocol, row.protocol) << row.listen;
    EXPECT_EQ(one.port, row.port) << row.listen;
    EXPECT_EQ(one.ports, row.ports) << row.listen;
    EXPECT_EQ(one.name, row.name) << row.listen;
  }
  const auto both = parsed("tcp+udp/*:53", "dns:53");
  ASSERT_EQ(both.in_kernel.size(), 2U);
  EXPECT_EQ(both.in_kernel[1].protocol, 17);
  EXPECT_EQ(both.in_user_space[1].transport, Transport::udp);
}

TEST(KernelMapping, SaysWhatIsWrong) {
  struct Row {
    std::string_view listen, target, message;
  };
  const Row rows[] = {
      {"*:80", "a:80,b:80", "\"a:80,b:80\": with --kernel there is one target, host:port[-port]"},
      {"*:80", "/run/x", "\"/run/x\": with --kernel there is one target, host:port[-port]"},
      {"*:80", "-", "\"-\": with --kernel there is one target, host:port[-port]"},
      {"/run/x", "a:80", "\"/run/x\": the kernel maps no Unix sockets"},
      {"*:0", "a:80", "\"*:0\": with --kernel there is no port 0"},
      {"sctp/80", "a:80", "\"sctp/80\": on loopback alone: say *:port for other machines"},
      {"6/*", "a", "\"6/*\": say tcp/port"},
      {"58/*", "a", "\"58/*\": this machine needs its ICMP itself"},
      {"255/*", "a", "\"255/*\": protocols have numbers from 1 to 254"},
      {"99999999999999999999/*", "a", "\"99999999999999999999/*\": protocols have numbers from 1 to 254"},
      {"47/*:80", "a", "\"*:80\": a whole protocol has no ports: a host alone"},
      {"47/*", "a:80", "\"a:80\": a whole protocol has no ports: a host alone"},
      {"47/*", "*", "\"*\": a target is a host"},
      {"47/127.0.0.1", "a", "\"47/127.0.0.1\": a whole protocol cannot be mapped on loopback"},
  };
  for (const Row& row : rows) {
    const auto mapping = parse_kernel_mapping(row.listen, row.target);
    ASSERT_FALSE(mapping) << row.listen << " " << row.target;
    EXPECT_EQ(mapping.error().message, row.message);
  }
  EXPECT_TRUE(needs_kernel("sctp/80") && needs_kernel("47/*") && needs_kernel("DCCP/*:1"));
  EXPECT_FALSE(needs_kernel("80") || needs_kernel("tcp/80") || needs_kernel("/1/x") ||
               needs_kernel("host:80"));
}

}  // namespace
}  // namespace culvert::cli
