// SPDX-License-Identifier: Apache-2.0
#include "base/ip_address.hpp"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace culvert {
namespace {

/// Takes a number of at most `digits` digits, without leading zeros if it is decimal.
std::optional<unsigned> take_number(std::string_view& rest, unsigned base, std::size_t digits) {
  unsigned value = 0;
  std::size_t count = 0;
  for (; count < rest.size(); ++count) {
    const char c = rest[count];
    unsigned digit = 16;
    if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A') + 10;
    if (digit >= base) break;
    if (count == digits) return std::nullopt;
    value = value * base + digit;
  }
  if (count == 0 || (base == 10 && count > 1 && rest[0] == '0')) return std::nullopt;
  rest.remove_prefix(count);
  return value;
}

bool take(std::string_view& rest, std::string_view word) {
  if (!rest.starts_with(word)) return false;
  rest.remove_prefix(word.size());
  return true;
}

bool parse_v4(std::string_view text, std::span<std::uint8_t, 4> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i > 0 && !take(text, ".")) return false;
    const auto number = take_number(text, 10, 3);
    if (!number || *number > 255) return false;
    out[i] = static_cast<std::uint8_t>(*number);
  }
  return text.empty();
}

bool parse_v6(std::string_view text, std::array<std::uint8_t, 16>& out) {
  std::array<std::uint8_t, 16> bytes{};
  std::size_t size = 0;            // what is read
  std::optional<std::size_t> gap;  // where "::" stands
  if (take(text, "::")) gap = 0;
  while (!text.empty()) {
    if (size == bytes.size()) return false;
    if (size <= 12 && text.find('.') < text.find(':')) {
      if (!parse_v4(text, std::span(bytes).subspan(size).first<4>())) return false;
      size += 4;
      break;
    }
    const auto group = take_number(text, 16, 4);
    if (!group) return false;
    bytes[size++] = static_cast<std::uint8_t>(*group >> 8);
    bytes[size++] = static_cast<std::uint8_t>(*group);
    if (text.empty()) break;
    if (!take(text, ":") || text.empty()) return false;
    if (text.starts_with(':')) {
      if (gap) return false;
      gap = size;
      text.remove_prefix(1);
    }
  }
  if (gap ? size == bytes.size() : size != bytes.size()) return false;
  if (gap) std::rotate(bytes.begin() + *gap, bytes.begin() + size, bytes.end());
  out = bytes;
  return true;
}

std::string text_of_v4(ByteView bytes) {
  return fmt::format("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]);
}

IpNetwork network(std::string_view text) {
  const auto parsed = IpNetwork::parse(text);
  CULVERT_ASSERT(parsed);
  return *parsed;
}

const std::array<KnownRange, 26>& known_ranges() {
  using enum AddressKind;
  // The narrower ones first.
  static const std::array<KnownRange, 26> ranges = {{
      {metadata, network("169.254.169.254")},  // AWS, Azure, Google, OpenStack and others
      {metadata, network("169.254.170.2")},    // AWS: containers
      {metadata, network("169.254.170.23")},
      {metadata, network("fd00:ec2::254")},
      {metadata, network("fd00:ec2::23")},
      {metadata, network("fd20:ce::254")},     // Google
      {metadata, network("100.100.100.200")},  // Alibaba
      {metadata, network("192.0.0.192")},      // Oracle
      {metadata, network("168.63.129.16")},    // Azure
      {unspecified, network("0.0.0.0/8")},
      {unspecified, network("::")},
      {loopback, network("127.0.0.0/8")},
      {loopback, network("::1")},
      {link_local, network("169.254.0.0/16")},
      {link_local, network("fe80::/10")},
      {multicast, network("224.0.0.0/4")},
      {multicast, network("ff00::/8")},
      {reserved, network("240.0.0.0/4")},
      {transition, network("2002::/16")},        // 6to4
      {transition, network("2001::/32")},        // Teredo
      {transition, network("64:ff9b:1::/48")},   // NAT64 of one's own prefix, RFC 8215
      {transition, network("::ffff:0:0:0/96")},  // IPv4-translated, RFC 2765
      {transition, network("192.88.99.0/24")},   // relays of 6to4
      // Should somebody ask about an address that is not normalised.
      {transition, network("::/96")},
      {transition, network("::ffff:0:0/96")},
      {transition, network("64:ff9b::/96")},
  }};
  return ranges;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  IpAddress address;
  if (parse_v4(text, std::span(address.bytes_).first<4>())) return address;
  address.bytes_ = {};
  address.is_v4_ = false;
  if (parse_v6(text, address.bytes_)) return address;
  return std::nullopt;
}

std::optional<IpAddress> IpAddress::from_bytes(ByteView bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
  IpAddress address;
  address.is_v4_ = bytes.size() == 4;
  std::ranges::copy(bytes, address.bytes_.begin());
  return address;
}

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress address;
  for (unsigned i = 0; i < 4; ++i) {
    address.bytes_[i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
  }
  return address;
}

std::string IpAddress::text() const {
  if (is_v4_) return text_of_v4(bytes());
  static const IpNetwork mapped = network("::ffff:0:0/96");
  if (mapped.contains(*this)) return "::ffff:" + text_of_v4(bytes().subspan(12));
  const auto group = [this](std::size_t i) { return bytes_[2 * i] << 8 | bytes_[2 * i + 1]; };
  // The longest run of zeros, the first of them, becomes "::"; a single one does not.
  std::size_t gap = 8, length = 1;
  for (std::size_t i = 0; i < 8; ++i) {
    std::size_t end = i;
    while (end < 8 && group(end) == 0) ++end;
    if (end - i > length) {
      gap = i;
      length = end - i;
    }
  }
  std::string out;
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == gap) {
      out += "::";
      i += length - 1;
      continue;
    }
    if (!out.empty() && !out.ends_with(':')) out += ':';
    out += fmt::format("{:x}", group(i));
  }
  return out;
}

IpAddress IpAddress::normalised() const {
  const IpNetwork normal = IpNetwork(*this).normalised();
  return normal.first();
}

IpNetwork::IpNetwork(const IpAddress& address)
    : first_(address), bits_(static_cast<unsigned>(8 * address.bytes().size())) {}

Result<IpNetwork> IpNetwork::parse(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(Errc::malformed,
                fmt::format("\"{}\" is no network like 192.0.2.0/24{}", printable(text, 100), why));
  };
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return wrong("");
  IpNetwork network(*address);
  if (slash == text.npos) return network;
  std::string_view digits = text.substr(slash + 1);
  const auto bits = take_number(digits, 10, 3);
  if (!bits || *bits > network.bits_ || !digits.empty()) return wrong("");
  network.bits_ = *bits;
  // More than was meant might match: which part of it is the mistake, nobody knows.
  const ByteView bytes = address->bytes();
  for (std::size_t bit = *bits; bit < 8 * bytes.size(); ++bit) {
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return wrong(": bits behind the prefix are set");
  }
  return network;
}

bool share_prefix(const IpAddress& a, const IpAddress& b, unsigned bits) {
  if (a.is_v4() != b.is_v4()) return false;
  const ByteView one = a.bytes(), other = b.bytes();
  CULVERT_ASSERT(bits <= 8 * one.size());
  const std::size_t whole = bits / 8;
  if (!std::ranges::equal(one.first(whole), other.first(whole))) return false;
  const auto mask = static_cast<std::uint8_t>(0xFF00u >> bits % 8);
  return bits % 8 == 0 || (one[whole] & mask) == (other[whole] & mask);
}

bool IpNetwork::contains(const IpAddress& address) const { return share_prefix(address, first_, bits_); }

bool IpNetwork::contains(const IpNetwork& other) const {
  return other.bits_ >= bits_ && contains(other.first_);
}

std::string IpNetwork::text() const {
  if (bits_ == 8 * first_.bytes().size()) return first_.text();
  return fmt::format("{}/{}", first_.text(), bits_);
}

IpNetwork IpNetwork::normalised() const {
  constexpr unsigned kPrefix = 96;
  if (first_.is_v4() || bits_ < kPrefix) return *this;
  constexpr std::array<std::uint8_t, 12> kCompatible{};
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr std::array<std::uint8_t, 12> kNat64{0x00, 0x64, 0xff, 0x9b};
  const ByteView prefix = first_.bytes().first(kPrefix / 8);
  const ByteView rest = first_.bytes().subspan(kPrefix / 8);
  const bool is_compatible = std::ranges::equal(prefix, kCompatible);
  // :: and ::1 are no IPv4 addresses, and a network with them in it is left as it is.
  if (is_compatible && rest[0] == 0 && rest[1] == 0 && rest[2] == 0 && rest[3] <= 1) return *this;
  if (!is_compatible && !std::ranges::equal(prefix, kMapped) && !std::ranges::equal(prefix, kNat64))
    return *this;
  return {*IpAddress::from_bytes(rest), bits_ - kPrefix};
}

std::string_view describe(AddressKind kind) {
  switch (kind) {
    case AddressKind::ordinary:
      return "an ordinary address";
    case AddressKind::unspecified:
      return "an unspecified address";
    case AddressKind::loopback:
      return "a loopback address";
    case AddressKind::link_local:
      return "a link-local address";
    case AddressKind::metadata:
      return "a metadata address";
    case AddressKind::multicast:
      return "a multicast address";
    case AddressKind::reserved:
      return "a reserved or broadcast address";
    case AddressKind::transition:
      return "an address of an IPv6 transition mechanism";
  }
  CULVERT_ASSERT(false);
}

std::optional<KnownRange> known_range(const IpAddress& address) {
  for (const KnownRange& range : known_ranges()) {
    if (range.network.contains(address)) return range;
  }
  return std::nullopt;
}

}  // namespace culvert
