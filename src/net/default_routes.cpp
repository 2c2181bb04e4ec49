// SPDX-License-Identifier: Apache-2.0
#include "net/default_routes.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "base/ip_address.hpp"
#include "net/addresses.hpp"
#include "net/netlink.hpp"
#include "net/netlink_socket.hpp"

namespace culvert::net {

namespace ip = boost::asio::ip;

namespace {

struct Candidate {
  IpAddress gateway;
  unsigned index;
  std::uint32_t metric;
  std::size_t place;  // in the kernel's order
  std::optional<IpAddress> source;
};

struct OwnAddress {
  IpAddress address;
  unsigned index;
  unsigned prefix;
  bool is_lasting;
};

std::uint32_t number(ByteView value) { return netlink::read_as<std::uint32_t>(value).value_or(0); }

using Hops = std::vector<std::pair<IpAddress, unsigned>>;  // a router, and the interface to it

void add_hops(ByteView list, Hops& hops) {
  while (const auto hop = netlink::read_as<rtnexthop>(list)) {
    if (hop->rtnh_len < sizeof *hop || hop->rtnh_len > list.size()) return;
    netlink::for_each_attribute(netlink::behind(list.first(hop->rtnh_len), sizeof *hop),
                                [&](std::uint16_t type, ByteView value) {
                                  const auto address = IpAddress::from_bytes(value);
                                  if (type == RTA_GATEWAY && address)
                                    hops.emplace_back(*address, static_cast<unsigned>(hop->rtnh_ifindex));
                                });
    list = netlink::behind(list, hop->rtnh_len);
  }
}

void add_routes(const rtmsg& route, ByteView attributes, std::vector<Candidate>& to) {
  if (route.rtm_dst_len != 0 || route.rtm_type != RTN_UNICAST) return;
  std::uint32_t table = route.rtm_table, metric = 0, index = 0;
  std::optional<IpAddress> gateway, source;
  Hops hops;
  netlink::for_each_attribute(attributes, [&](std::uint16_t type, ByteView value) {
    if (type == RTA_TABLE) table = number(value);
    if (type == RTA_PRIORITY) metric = number(value);
    if (type == RTA_OIF) index = number(value);
    if (type == RTA_GATEWAY) gateway = IpAddress::from_bytes(value);
    if (type == RTA_PREFSRC) source = IpAddress::from_bytes(value);
    if (type == RTA_MULTIPATH) add_hops(value, hops);
  });
  if (table != RT_TABLE_MAIN) return;
  if (gateway) hops.emplace_back(*gateway, index);
  for (const auto& [address, where] : hops) to.push_back({address, where, metric, to.size(), source});
}

void add_address(const ifaddrmsg& message, ByteView attributes, std::vector<OwnAddress>& to) {
  std::uint32_t flags = message.ifa_flags;
  std::optional<IpAddress> local, address;
  netlink::for_each_attribute(attributes, [&](std::uint16_t type, ByteView value) {
    if (type == IFA_LOCAL) local = IpAddress::from_bytes(value);
    if (type == IFA_ADDRESS) address = IpAddress::from_bytes(value);
    if (type == IFA_FLAGS) flags = number(value);
  });
  if (!local) local = address;
  if (!local) return;
  constexpr std::uint32_t kPassing = IFA_F_TEMPORARY | IFA_F_DEPRECATED | IFA_F_TENTATIVE | IFA_F_DADFAILED;
  const bool is_v4 = local->is_v4();
  to.push_back({*local, message.ifa_index, message.ifa_prefixlen,
                is_v4 || ((flags & kPassing) == 0 && message.ifa_scope == RT_SCOPE_UNIVERSE)});
}

// 2000::/3: what others can reach (RFC 4291 section 2.4, RFC 4193).
bool is_global(const IpAddress& address) { return address.is_v4() || address.bytes()[0] >> 5 == 1; }

std::optional<IpAddress> here_of(const Candidate& route, const std::vector<OwnAddress>& own) {
  if (route.source && is_global(*route.source)) return route.source;
  const OwnAddress* best = nullptr;
  for (const OwnAddress& one : own) {
    if (one.index != route.index || one.address.is_v4() != route.gateway.is_v4()) continue;
    if (!one.is_lasting || !is_global(one.address)) continue;
    if (best == nullptr || (share_prefix(one.address, route.gateway, one.prefix) &&
                            !share_prefix(best->address, route.gateway, best->prefix))) {
      best = &one;
    }
  }
  return best == nullptr ? std::nullopt : std::optional(best->address);
}

ip::address gateway_of(const Candidate& route) {
  ip::address address = asio_address_of(route.gateway);
  if (address.is_v6() && address.to_v6().is_link_local())
    return ip::address_v6(address.to_v6().to_bytes(), route.index);
  return address;
}

}  // namespace

Result<std::vector<DefaultRoute>> default_routes() {
  NetlinkSocket socket = TRY(NetlinkSocket::open(NETLINK_ROUTE));
  std::vector<Candidate> candidates;
  std::vector<OwnAddress> own;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    rtmsg routes{};
    routes.rtm_family = family;
    TRY(socket.ask<rtmsg>(RTM_GETROUTE, NLM_F_DUMP, routes, {}, [&](const rtmsg& route, ByteView attributes) {
      add_routes(route, attributes, candidates);
    }));
    ifaddrmsg addresses{};
    addresses.ifa_family = family;
    TRY(socket.ask<ifaddrmsg>(
        RTM_GETADDR, NLM_F_DUMP, addresses, {},
        [&](const ifaddrmsg& address, ByteView attributes) { add_address(address, attributes, own); }));
  }
  std::ranges::sort(candidates, {}, [](const Candidate& one) { return std::pair(one.metric, one.place); });
  std::vector<DefaultRoute> routes;
  for (const Candidate& one : candidates) {
    const auto here = here_of(one, own);
    if (!here) continue;
    std::array<char, IF_NAMESIZE> name = {};
    if (::if_indextoname(one.index, name.data()) == nullptr) continue;
    const DefaultRoute route = {gateway_of(one), asio_address_of(*here), name.data(), one.index};
    if (std::ranges::find(routes, route) == routes.end()) routes.push_back(route);
  }
  return routes;
}

}  // namespace culvert::net
