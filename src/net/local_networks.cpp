// SPDX-License-Identifier: Apache-2.0
#include "net/local_networks.hpp"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include "base/text.hpp"

namespace culvert::net {
namespace {

namespace ip = boost::asio::ip;

std::optional<ip::address> address_of(const sockaddr* raw) {
  if (raw == nullptr) return std::nullopt;
  if (raw->sa_family == AF_INET)
    return ip::address_v4(ntohl(reinterpret_cast<const sockaddr_in*>(raw)->sin_addr.s_addr));
  if (raw->sa_family != AF_INET6) return std::nullopt;
  ip::address_v6::bytes_type bytes;
  const auto& from = reinterpret_cast<const sockaddr_in6*>(raw)->sin6_addr.s6_addr;
  std::copy(std::begin(from), std::end(from), bytes.begin());
  return ip::address_v6(bytes);
}

struct Network {
  ip::address first;
  unsigned bits;

  [[nodiscard]] bool holds(const ip::address& address) const {
    if (address.is_v4() != first.is_v4()) return false;
    if (first.is_v4()) {
      return ip::network_v4(address.to_v4(), static_cast<unsigned short>(bits)).network() == first.to_v4();
    }
    return ip::network_v6(address.to_v6(), static_cast<unsigned short>(bits)).network() == first.to_v6();
  }
};

Result<Network> parse_network(std::string_view text) {
  const auto wrong = [&] {
    return fail(Errc::usage, fmt::format("\"{}\" is not a network like 192.0.2.0/24", printable(text, 200)));
  };
  const auto slash = text.find('/');
  boost::system::error_code error;
  Network network{ip::make_address(std::string(text.substr(0, slash)), error), 0};
  if (error) return wrong();
  const unsigned most = network.first.is_v4() ? 32 : 128;
  network.bits = most;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    network.bits = 0;
    for (const char digit : digits) {
      if (digit < '0' || digit > '9' || network.bits > most) return wrong();
      network.bits = network.bits * 10 + static_cast<unsigned>(digit - '0');
    }
    if (digits.empty() || network.bits > most) return wrong();
  }
  if (!network.holds(network.first)) return wrong();
  return network;
}

}  // namespace

Result<bool> has_address_in(std::span<const std::string_view> networks) {
  std::vector<Network> wanted;
  for (const std::string_view text : networks) wanted.push_back(TRY(parse_network(text)));
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return fail_errno("cannot list our addresses", errno);
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, ::freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if ((entry->ifa_flags & IFF_UP) == 0 || (entry->ifa_flags & IFF_LOOPBACK) != 0) continue;
    const auto address = address_of(entry->ifa_addr);
    if (!address) continue;
    for (const Network& network : wanted) {
      if (network.holds(*address)) return true;
    }
  }
  return false;
}

std::vector<ip::address> own_addresses() {
  std::vector<ip::address> own;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return own;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, ::freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if ((entry->ifa_flags & IFF_UP) == 0) continue;
    if (const auto address = address_of(entry->ifa_addr)) own.push_back(*address);
  }
  return own;
}

}  // namespace culvert::net
