// SPDX-License-Identifier: Apache-2.0
#include "proto/socks/address.hpp"

#include <algorithm>
#include <charconv>

#include "base/ip_address.hpp"
#include "base/text.hpp"

namespace culvert::socks {
namespace {

constexpr std::size_t kLongestHost = 255;  // what SOCKS 5 can say

std::optional<std::uint16_t> number(std::string_view text) {
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <class Ip>
std::optional<Ip> parse_ip(std::string_view text) {
  const auto address = IpAddress::parse(text);
  Ip bytes{};
  if (!address || address->bytes().size() != bytes.size()) return std::nullopt;
  std::ranges::copy(address->bytes(), bytes.begin());
  return bytes;
}

}  // namespace

std::string ip_text(const Ipv4& address) { return IpAddress::from_bytes(address)->text(); }
std::string ip_text(const Ipv6& address) { return IpAddress::from_bytes(address)->text(); }

std::optional<Ipv4> parse_ipv4(std::string_view text) { return parse_ip<Ipv4>(text); }
std::optional<Ipv6> parse_ipv6(std::string_view text) { return parse_ip<Ipv6>(text); }

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= kLongestHost && std::ranges::all_of(text, [](char letter) {
    return static_cast<unsigned char>(letter) > 0x20 && letter != 0x7F;
  });
}

std::string authority(const Address& address) { return with_port(address.host, address.port); }

std::optional<Address> parse_authority(std::string_view text) {
  Address address;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find("]:");
    if (close == std::string_view::npos || !parse_ipv6(text.substr(1, close - 1))) return std::nullopt;
    address.host = text.substr(1, close - 1);
    port = text.substr(close + 2);
  } else {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    address.host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (address.host.find_first_of("/?#@[]\\\"<>") != std::string::npos) return std::nullopt;
  }
  const auto value = number(port);
  if (!is_host(address.host) || !value || *value == 0) return std::nullopt;
  address.port = *value;
  return address;
}

}  // namespace culvert::socks
