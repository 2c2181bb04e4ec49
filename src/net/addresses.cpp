// SPDX-License-Identifier: Apache-2.0
#include "net/addresses.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <boost/asio/ip/udp.hpp>

#include "base/assert.hpp"
#include "base/time.hpp"
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

// Asked at every open, and the kernel's answer takes longer than all else of an open.
std::span<const IpAddress> own_addresses() {
  constexpr Duration kGood = std::chrono::seconds(1);
  thread_local std::vector<IpAddress> own;
  thread_local Instant until{};
  if (const Instant now = monotonic_now(); now >= until) {
    until = now + kGood;
    if (const auto all = interface_addresses()) {
      own.clear();
      for (const InterfaceAddress& one : *all) {
        if (one.address) own.push_back(ip_address_of(*one.address));
      }
    }
  }
  return own;
}

}  // namespace culvert::net
