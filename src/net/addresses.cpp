// SPDX-License-Identifier: Apache-2.0
#include "net/addresses.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <boost/asio/ip/udp.hpp>

#include "base/assert.hpp"
#include "base/time.hpp"
#include "net/netlink_socket.hpp"
#include "net/route_lookup.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

namespace ip = boost::asio::ip;

namespace {

std::optional<ip::address> address_of(const sockaddr* name) {
  if (name != nullptr && name->sa_family == AF_INET) {
    sockaddr_in in = {};
    std::memcpy(&in, name, sizeof in);
    return ip::address_v4(ntohl(in.sin_addr.s_addr));
  }
  if (name != nullptr && name->sa_family == AF_INET6) {
    sockaddr_in6 in = {};
    std::memcpy(&in, name, sizeof in);
    ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return ip::address_v6(bytes, in.sin6_scope_id);
  }
  return std::nullopt;
}

/// They are asked for at every open, and the kernel's answers take longer than all else of an open.
class OwnAddresses {
 public:
  [[nodiscard]] static OwnAddresses& of_thread() {
    thread_local OwnAddresses own;
    return own;
  }
  [[nodiscard]] Result<void> learn();
  [[nodiscard]] bool have(const IpAddress& address);

 private:
  static constexpr Duration kGood = std::chrono::seconds(1);
  static constexpr std::size_t kMostRoutes = 1024;

  std::set<IpAddress> of_interfaces_;
  std::map<IpAddress, bool> routed_here_;
  std::optional<NetlinkSocket> routes_;  ///< kept, so that no want of descriptors keeps us from asking
  Instant good_until_{};
};

Result<void> OwnAddresses::learn() {
  const Instant now = monotonic_now();
  if (now < good_until_) return {};
  routed_here_.clear();
  if (!routes_) routes_ = TRY(NetlinkSocket::open(NETLINK_ROUTE));
  const auto all = TRY(interface_addresses());
  of_interfaces_.clear();
  for (const InterfaceAddress& one : all)
    if (one.address) of_interfaces_.insert(ip_address_of(*one.address).normalised());
  good_until_ = now + kGood;
  return {};
}

// An answer, even if it is that no way leads there. Anything else (no memory) says nothing.
bool is_answer(const Result<Route>& route) {
  constexpr std::array kNoWay = {ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL, EOPNOTSUPP, EAFNOSUPPORT};
  return route || std::ranges::find(kNoWay, static_cast<int>(route.error().detail)) != kNoWay.end();
}

bool OwnAddresses::have(const IpAddress& address) {
  (void)learn();
  if (of_interfaces_.contains(address)) return true;
  if (const auto known = routed_here_.find(address); known != routed_here_.end()) return known->second;
  if (!routes_) return true;
  const auto route = route_to(*routes_, address);
  if (!is_answer(route)) return true;
  if (routed_here_.size() >= kMostRoutes) routed_here_.clear();
  return routed_here_[address] = route && route->is_local;
}

}  // namespace

Result<std::vector<InterfaceAddress>> interface_addresses() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return fail(Errc::system, std::strerror(errno), errno);
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> list(first, ::freeifaddrs);
  std::vector<InterfaceAddress> all;
  for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_name == nullptr) continue;
    all.push_back({entry->ifa_name, (entry->ifa_flags & IFF_UP) != 0, (entry->ifa_flags & IFF_LOOPBACK) != 0,
                   address_of(entry->ifa_addr)});
  }
  return all;
}

// The kernel chooses when a datagram socket is connected, which sends nothing.
Result<ip::address> own_address_towards(const ip::address& peer) {
  const ip::udp::endpoint to(peer, 9);
  const UniqueFd fd(::socket(to.protocol().family(), SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP));
  if (!fd || ::connect(fd.get(), to.data(), static_cast<socklen_t>(to.size())) != 0)
    return fail(Errc::system, ::strerrordesc_np(errno), errno);
  ip::udp::endpoint own;
  socklen_t length = static_cast<socklen_t>(own.capacity());
  if (::getsockname(fd.get(), own.data(), &length) != 0)
    return fail(Errc::system, ::strerrordesc_np(errno), errno);
  own.resize(length);
  return own.address();
}

bool has_address(const ip::address& address) {
  const ip::udp::endpoint here(address, 0);
  const UniqueFd socket(::socket(here.protocol().family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  // Without a socket nothing is known.
  return !socket || ::bind(socket.get(), here.data(), static_cast<socklen_t>(here.size())) == 0 ||
         errno != EADDRNOTAVAIL;
}

IpAddress ip_address_of(const ip::address& address) {
  const auto from = [](const auto& bytes) { return IpAddress::from_bytes(bytes); };
  const auto made = address.is_v4() ? from(address.to_v4().to_bytes()) : from(address.to_v6().to_bytes());
  CULVERT_ASSERT(made.has_value());
  return *made;
}

ip::address asio_address_of(const IpAddress& address) {
  if (address.is_v4()) {
    ip::address_v4::bytes_type bytes;
    std::ranges::copy(address.bytes(), bytes.begin());
    return ip::address_v4(bytes);
  }
  ip::address_v6::bytes_type bytes;
  std::ranges::copy(address.bytes(), bytes.begin());
  return ip::address_v6(bytes);
}

ip::address unmapped(const ip::address& address) {
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return ip::make_address_v4(ip::v4_mapped, address.to_v6());
}

Result<void> learn_own_addresses() { return OwnAddresses::of_thread().learn(); }

bool is_own(const IpAddress& address) {
  if (const auto range = known_range(address))
    if (range->kind == AddressKind::loopback || range->kind == AddressKind::unspecified) return true;
  return OwnAddresses::of_thread().have(address);
}

}  // namespace culvert::net
