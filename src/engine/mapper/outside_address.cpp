// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/outside_address.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace culvert::mapper {
namespace {

bool is_in(const IpAddress& address, std::string_view network) {
  return IpNetwork::parse(network)->contains(address);
}

}  // namespace

std::string why_unreachable(const IpAddress& outside) {
  if (!outside.is_v4()) return {};
  if (is_in(outside, "100.64.0.0/10")) {
    return "the provider has a NAT of its own (carrier-grade NAT, RFC 6598), and nobody outside reaches this "
           "address: ask the provider for a public IPv4 address, use IPv6, or a tunnel to a server (culvert "
           "-R)";
  }
  constexpr std::array<std::string_view, 3> kPrivate = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"};
  if (std::ranges::any_of(kPrivate, [&](std::string_view network) { return is_in(outside, network); })) {
    return "this is a private address: there is one more router between this one and the Internet (double "
           "NAT): "
           "open the port there, too, or let that one pass all on (bridge mode, exposed host)";
  }
  if (const auto range = known_range(outside)) {
    return "this is " + std::string(describe(range->kind)) +
           ", which nobody outside reaches: the router's own "
           "connection may be down";
  }
  return {};
}

}  // namespace culvert::mapper
