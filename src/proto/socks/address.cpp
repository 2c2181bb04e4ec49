// SPDX-License-Identifier: Apache-2.0
#include "proto/socks/address.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>

namespace culvert::socks {
namespace {

constexpr std::size_t kLongestHost = 255;  // what SOCKS 5 can say
constexpr std::size_t kGroups = 8;         // of an IPv6 address

template <class Number>
std::optional<Number> number(std::string_view text, int base) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The groups between colons on one side of "::"; an IPv4 address may stand in place of the last two.
std::optional<std::vector<std::uint16_t>> groups_of(std::string_view text, bool may_end_in_ipv4) {
  std::vector<std::uint16_t> groups;
  if (text.empty()) return groups;
  for (;;) {
    const auto colon = text.find(':');
    const std::string_view word = text.substr(0, colon);
    if (colon == std::string_view::npos && may_end_in_ipv4 && word.contains('.')) {
      const auto v4 = parse_ipv4(word);
      if (!v4) return std::nullopt;
      groups.push_back(static_cast<std::uint16_t>((*v4)[0] << 8 | (*v4)[1]));
      groups.push_back(static_cast<std::uint16_t>((*v4)[2] << 8 | (*v4)[3]));
      return groups;
    }
    const auto group = word.size() <= 4 ? number<std::uint16_t>(word, 16) : std::nullopt;
    if (!group || groups.size() == kGroups) return std::nullopt;
    groups.push_back(*group);
    if (colon == std::string_view::npos) return groups;
    text.remove_prefix(colon + 1);
  }
}

struct Run {
  std::size_t begin = 0;
  std::size_t size = 0;
};

Run longest_zeros(const std::array<std::uint16_t, kGroups>& groups) {
  Run best;
  for (std::size_t i = 0; i < kGroups;) {
    std::size_t end = i;
    while (end < kGroups && groups[end] == 0) ++end;
    if (end - i > best.size) best = {i, end - i};
    i = end + 1;
  }
  return best.size > 1 ? best : Run{};  // one group alone is not shortened
}

}  // namespace

std::string ip_text(const Ipv4& address) {
  return fmt::format("{}.{}.{}.{}", address[0], address[1], address[2], address[3]);
}

std::string ip_text(const Ipv6& address) {
  std::array<std::uint16_t, kGroups> groups{};
  for (std::size_t i = 0; i < kGroups; ++i)
    groups[i] = static_cast<std::uint16_t>(address[2 * i] << 8 | address[2 * i + 1]);
  // RFC 5952 section 5: what is known to hold an IPv4 address shows it.
  const bool mapped =
      std::ranges::all_of(address.begin(), address.begin() + 10, [](auto b) { return b == 0; }) &&
      groups[5] == 0xFFFF;
  if (mapped) return "::ffff:" + ip_text(Ipv4{address[12], address[13], address[14], address[15]});
  const Run zeros = longest_zeros(groups);
  std::string text;
  for (std::size_t i = 0; i < kGroups; ++i) {
    if (zeros.size > 0 && i == zeros.begin) {
      text += "::";
      i += zeros.size - 1;
      continue;
    }
    if (!text.empty() && !text.ends_with(':')) text += ':';
    text += fmt::format("{:x}", groups[i]);
  }
  return text;
}

std::optional<Ipv4> parse_ipv4(std::string_view text) {
  Ipv4 address{};
  for (std::size_t i = 0; i < address.size(); ++i) {
    const auto dot = text.find('.');
    if ((dot == std::string_view::npos) != (i + 1 == address.size())) return std::nullopt;
    const std::string_view word = text.substr(0, dot);
    const auto value = number<std::uint8_t>(word, 10);
    if (!value || word.size() > 3 || (word.size() > 1 && word[0] == '0')) return std::nullopt;
    address[i] = *value;
    text.remove_prefix(std::min(text.size(), dot == std::string_view::npos ? text.size() : dot + 1));
  }
  return address;
}

std::optional<Ipv6> parse_ipv6(std::string_view text) {
  const auto gap = text.find("::");
  const bool has_gap = gap != std::string_view::npos;
  const auto front = groups_of(text.substr(0, gap), !has_gap);
  const auto back = groups_of(has_gap ? text.substr(gap + 2) : std::string_view(), true);
  if (!front || !back) return std::nullopt;
  const std::size_t written = front->size() + back->size();
  if (has_gap ? written >= kGroups : written != kGroups) return std::nullopt;
  std::vector<std::uint16_t> groups = *front;
  groups.resize(kGroups - back->size());
  groups.insert(groups.end(), back->begin(), back->end());
  Ipv6 address{};
  for (std::size_t i = 0; i < kGroups; ++i) {
    address[2 * i] = static_cast<std::uint8_t>(groups[i] >> 8);
    address[2 * i + 1] = static_cast<std::uint8_t>(groups[i]);
  }
  return address;
}

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= kLongestHost && std::ranges::all_of(text, [](char letter) {
    return static_cast<unsigned char>(letter) > 0x20 && letter != 0x7F;
  });
}

std::string authority(const Address& address) {
  const bool brackets = address.host.contains(':');
  return fmt::format("{}{}{}:{}", brackets ? "[" : "", address.host, brackets ? "]" : "", address.port);
}

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
  const auto value = number<std::uint16_t>(port, 10);
  if (!is_host(address.host) || !value || *value == 0) return std::nullopt;
  address.port = *value;
  return address;
}

}  // namespace culvert::socks
