// SPDX-License-Identifier: Apache-2.0
#include "net/default_routes.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "base/bytes.hpp"
#include "base/ip_address.hpp"
#include "net/addresses.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

namespace ip = boost::asio::ip;

namespace {

constexpr int kPatience = 2;  // seconds; the kernel answers at once
constexpr std::size_t kMostMessages =
    100'000;  // of a table of routes: a full one of the Internet is none for us

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

ByteView payload(rtattr& attribute) {
  return {static_cast<const std::uint8_t*>(RTA_DATA(&attribute)), RTA_PAYLOAD(&attribute)};
}

std::uint32_t number(rtattr& attribute) {
  std::uint32_t value = 0;
  const ByteView bytes = payload(attribute);
  std::memcpy(&value, bytes.data(), std::min(sizeof value, bytes.size()));
  return value;
}

// Each of a list of attributes.
template <class Visit>
void for_each(rtattr* first, std::size_t length, Visit visit) {
  int left = static_cast<int>(length);
  for (rtattr* one = first; RTA_OK(one, left); one = RTA_NEXT(one, left)) visit(*one);
}

// Asks for all of a table, and gives each message to `visit`.
template <class Header, class Visit>
Result<void> dump(int socket, std::uint16_t type, std::uint8_t family, Visit visit) {
  struct {
    nlmsghdr header;
    Header body;
  } request = {};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  if constexpr (requires { request.body.rtm_family; }) {
    request.body.rtm_family = family;
  } else {
    request.body.ifa_family = family;
  }
  if (::send(socket, &request, sizeof request, 0) < 0) return fail(Errc::system, std::strerror(errno), errno);
  alignas(nlmsghdr) std::array<std::uint8_t, 64 * 1024> buffer;
  std::size_t seen = 0;
  while (true) {
    const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return fail(Errc::system, std::strerror(errno), errno);
    auto left = static_cast<unsigned>(size);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE) return {};
      if (message->nlmsg_type == NLMSG_ERROR || ++seen > kMostMessages)
        return fail(Errc::system, "the kernel does not tell");
      if (message->nlmsg_len < NLMSG_LENGTH(sizeof(Header))) continue;
      auto* body = static_cast<Header*>(NLMSG_DATA(message));
      auto* attributes =
          reinterpret_cast<rtattr*>(reinterpret_cast<std::uint8_t*>(body) + NLMSG_ALIGN(sizeof(Header)));
      visit(*body, attributes, message->nlmsg_len - NLMSG_SPACE(sizeof(Header)));
    }
  }
}

void add_routes(const rtmsg& route, rtattr* first, std::size_t length, std::vector<Candidate>& to) {
  if (route.rtm_dst_len != 0 || route.rtm_type != RTN_UNICAST) return;
  std::uint32_t table = route.rtm_table, metric = 0, index = 0;
  std::optional<IpAddress> gateway, source;
  std::vector<std::pair<IpAddress, unsigned>> hops;
  const auto read_hops = [&hops](rtattr& list) {
    auto* hop = static_cast<rtnexthop*>(RTA_DATA(&list));
    std::size_t left = RTA_PAYLOAD(&list);
    while (left >= sizeof *hop && RTNH_OK(hop, static_cast<int>(left))) {
      const std::size_t size = hop->rtnh_len;
      for_each(RTNH_DATA(hop), size - sizeof *hop, [&](rtattr& one) {
        const auto address = IpAddress::from_bytes(payload(one));
        if (one.rta_type == RTA_GATEWAY && address)
          hops.emplace_back(*address, static_cast<unsigned>(hop->rtnh_ifindex));
      });
      left -= std::min(left, static_cast<std::size_t>(RTNH_ALIGN(size)));
      hop = RTNH_NEXT(hop);
    }
  };
  for_each(first, length, [&](rtattr& one) {
    if (one.rta_type == RTA_TABLE) table = number(one);
    if (one.rta_type == RTA_PRIORITY) metric = number(one);
    if (one.rta_type == RTA_OIF) index = number(one);
    if (one.rta_type == RTA_GATEWAY) gateway = IpAddress::from_bytes(payload(one));
    if (one.rta_type == RTA_PREFSRC) source = IpAddress::from_bytes(payload(one));
    if (one.rta_type == RTA_MULTIPATH) read_hops(one);
  });
  if (table != RT_TABLE_MAIN) return;
  if (gateway) hops.emplace_back(*gateway, index);
  for (const auto& [address, where] : hops) to.push_back({address, where, metric, to.size(), source});
}

void add_address(const ifaddrmsg& message, rtattr* first, std::size_t length, std::vector<OwnAddress>& to) {
  std::uint32_t flags = message.ifa_flags;
  std::optional<IpAddress> local, address;
  for_each(first, length, [&](rtattr& one) {
    if (one.rta_type == IFA_LOCAL) local = IpAddress::from_bytes(payload(one));
    if (one.rta_type == IFA_ADDRESS) address = IpAddress::from_bytes(payload(one));
    if (one.rta_type == IFA_FLAGS) flags = number(one);
  });
  if (!local) local = address;
  if (!local) return;
  constexpr std::uint32_t kPassing = IFA_F_TEMPORARY | IFA_F_DEPRECATED | IFA_F_TENTATIVE | IFA_F_DADFAILED;
  const bool is_v4 = local->is_v4();
  to.push_back({*local, message.ifa_index, message.ifa_prefixlen,
                is_v4 || ((flags & kPassing) == 0 && message.ifa_scope == RT_SCOPE_UNIVERSE)});
}

bool share_prefix(const IpAddress& a, const IpAddress& b, unsigned bits) {
  if (a.is_v4() != b.is_v4()) return false;
  for (unsigned i = 0; i < bits; ++i) {
    const unsigned shift = 7 - i % 8;
    if (((a.bytes()[i / 8] ^ b.bytes()[i / 8]) >> shift & 1) != 0) return false;
  }
  return true;
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
  const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return fail(Errc::system, std::strerror(errno), errno);
  const timeval patience = {kPatience, 0};
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);

  std::vector<Candidate> candidates;
  std::vector<OwnAddress> own;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    TRY(dump<rtmsg>(socket.get(), RTM_GETROUTE, family,
                    [&](const rtmsg& route, rtattr* first, std::size_t length) {
                      add_routes(route, first, length, candidates);
                    }));
    TRY(dump<ifaddrmsg>(socket.get(), RTM_GETADDR, family,
                        [&](const ifaddrmsg& message, rtattr* first, std::size_t length) {
                          add_address(message, first, length, own);
                        }));
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
