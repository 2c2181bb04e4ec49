// SPDX-License-Identifier: Apache-2.0
#include "net/interface.hpp"

#include <cerrno>
#include <optional>

#include "net/addresses.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

// Of OpenSSH: 127.0.0.1 alone, not its whole network.
bool stays_here(const asio::ip::address& address) {
  if (address.is_v4()) return address.to_v4() == asio::ip::address_v4::loopback();
  return address.to_v6().is_loopback() || address.to_v6().is_link_local();
}

}  // namespace

Result<std::vector<asio::ip::address>> interface_addresses(const std::string& name) {
  bool is_there = false, is_up = false;
  std::optional<asio::ip::address> best[2];  // IPv4, IPv6
  for (const InterfaceAddress& entry : TRY(interface_addresses())) {
    if (entry.interface != name) continue;
    is_there = true;
    is_up = is_up || entry.is_up;
    if (!entry.is_up || !entry.address) continue;
    auto& one = best[entry.address->is_v6() ? 1 : 0];
    if (!one || (stays_here(*one) && !stays_here(*entry.address))) one = *entry.address;
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
