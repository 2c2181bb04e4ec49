// SPDX-License-Identifier: Apache-2.0
#include "net/interface.hpp"

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace culvert::net {

namespace asio = boost::asio;

namespace {

std::optional<asio::ip::address> address_of(const sockaddr& name) {
  if (name.sa_family == AF_INET) {
    sockaddr_in in = {};
    std::memcpy(&in, &name, sizeof in);
    return asio::ip::address_v4(ntohl(in.sin_addr.s_addr));
  }
  if (name.sa_family == AF_INET6) {
    sockaddr_in6 in = {};
    std::memcpy(&in, &name, sizeof in);
    asio::ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return asio::ip::address_v6(bytes, in.sin6_scope_id);
  }
  return std::nullopt;
}

// Of OpenSSH: 127.0.0.1 alone, not its whole network.
bool stays_here(const asio::ip::address& address) {
  if (address.is_v4()) return address.to_v4() == asio::ip::address_v4::loopback();
  return address.to_v6().is_loopback() || address.to_v6().is_link_local();
}

}  // namespace

Result<std::vector<asio::ip::address>> interface_addresses(const std::string& name) {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return fail(Errc::system, std::strerror(errno), errno);
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> list(first, ::freeifaddrs);

  bool is_there = false, is_up = false;
  std::optional<asio::ip::address> best[2];  // IPv4, IPv6
  for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_name == nullptr || name != entry->ifa_name) continue;
    is_there = true;
    if ((entry->ifa_flags & IFF_UP) == 0) continue;
    is_up = true;
    const auto address = entry->ifa_addr == nullptr ? std::nullopt : address_of(*entry->ifa_addr);
    if (!address) continue;
    auto& one = best[address->is_v6() ? 1 : 0];
    if (!one || (stays_here(*one) && !stays_here(*address))) one = address;
  }
  if (!is_there) return fail(Errc::system, "there is no such interface", ENODEV);
  if (!is_up) return fail(Errc::system, "it is down", ENETDOWN);
  std::vector<asio::ip::address> out;
  for (const auto& one : best) {
    if (one) out.push_back(*one);
  }
  if (out.empty()) return fail(Errc::system, "it has no address", EADDRNOTAVAIL);
  return out;
}

}  // namespace culvert::net
