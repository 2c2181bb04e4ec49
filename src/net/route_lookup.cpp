// SPDX-License-Identifier: Apache-2.0
#include "net/route_lookup.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "net/netlink.hpp"
#include "net/netlink_socket.hpp"

namespace culvert::net {
namespace {

struct Answer {
  rtmsg head{};
  unsigned interface = 0;
  std::uint32_t table = 0;
  std::optional<IpAddress> gateway;
};

Answer read_route(const rtmsg& head, ByteView attributes) {
  Answer answer;
  answer.head = head;
  answer.table = head.rtm_table;
  netlink::for_each_attribute(attributes, [&](std::uint16_t type, ByteView value) {
    switch (type) {
      case RTA_OIF:
        answer.interface = netlink::read_as<std::uint32_t>(value).value_or(0);
        break;
      case RTA_TABLE:
        answer.table = netlink::read_as<std::uint32_t>(value).value_or(0);
        break;
      case RTA_GATEWAY:
        answer.gateway = IpAddress::from_bytes(value);
        break;
      case RTA_VIA:  // a router of the other family
        answer.gateway = IpAddress::from_bytes(value.subspan(std::min(value.size(), std::size_t{2})));
        break;
      case RTA_MULTIPATH:  // the first of several: they are the same to whoever asks this
        if (const auto hop = netlink::read_as<rtnexthop>(value); hop && answer.interface == 0)
          answer.interface = static_cast<unsigned>(hop->rtnh_ifindex);
        break;
      default:
        break;
    }
  });
  return answer;
}

Result<std::vector<Answer>> ask(NetlinkSocket& socket, const rtmsg& header, std::uint16_t flags,
                                ByteView attributes) {
  std::vector<Answer> answers;
  TRY(socket.ask<rtmsg>(RTM_GETROUTE, flags, header, attributes, [&](const rtmsg& head, ByteView rest) {
    answers.push_back(read_route(head, rest));
  }));
  return answers;
}

Bytes destination_attribute(const IpAddress& address) {
  nlattr head{};
  head.nla_type = RTA_DST;
  head.nla_len = static_cast<std::uint16_t>(sizeof head + address.bytes().size());
  Bytes attribute(sizeof head);
  std::memcpy(attribute.data(), &head, sizeof head);
  attribute.insert(attribute.end(), address.bytes().begin(), address.bytes().end());
  return attribute;
}

std::string name_of(unsigned interface) {
  std::array<char, IF_NAMESIZE> name{};
  const bool is_there = interface != 0 && ::if_indextoname(interface, name.data()) != nullptr;
  return is_there ? name.data() : "";
}

unsigned char family_of(bool is_v4) { return is_v4 ? AF_INET : AF_INET6; }

}  // namespace

Result<Route> route_to(const IpAddress& address) {
  NetlinkSocket socket = TRY(NetlinkSocket::open(NETLINK_ROUTE));
  return route_to(socket, address);
}

Result<Route> route_to(NetlinkSocket& socket, const IpAddress& address) {
  rtmsg header{};
  header.rtm_family = family_of(address.is_v4());
  header.rtm_dst_len = static_cast<unsigned char>(address.bytes().size() * 8);
  const auto answers = TRY(ask(socket, header, 0, destination_attribute(address)));
  if (answers.empty()) return fail(Errc::system, "no answer");
  const Answer& answer = answers.front();
  return Route{answer.head.rtm_type == RTN_LOCAL, name_of(answer.interface), answer.gateway};
}

std::vector<std::string> default_interfaces(bool is_v4) {
  std::vector<std::string> names;
  rtmsg header{};
  header.rtm_family = family_of(is_v4);
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return names;
  const auto answers = ask(*socket, header, NLM_F_DUMP, {});
  if (!answers) return names;
  for (const Answer& answer : *answers) {
    if (answer.head.rtm_dst_len != 0 || answer.table != RT_TABLE_MAIN || answer.head.rtm_type != RTN_UNICAST)
      continue;
    std::string name = name_of(answer.interface);
    if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace culvert::net
