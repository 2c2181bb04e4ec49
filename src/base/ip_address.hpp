// SPDX-License-Identifier: Apache-2.0
// IP addresses and networks as values: for rules about them. Knows no sockets; names are not resolved here.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert {

/// An IPv4 or an IPv6 address, without a zone.
class IpAddress {
 public:
  IpAddress() = default;  ///< 0.0.0.0
  /// "192.0.2.1" (four decimal numbers without leading zeros) or IPv6 as RFC 4291 section 2.2 has it, without
  /// brackets. Nothing else: not "127.1", not "0x7f.0.0.1", no zone ("%eth0").
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);
  /// 4 or 16 bytes in network order; none for another number of them.
  [[nodiscard]] static std::optional<IpAddress> from_bytes(ByteView bytes);
  [[nodiscard]] static IpAddress v4(std::uint32_t host_order);

  [[nodiscard]] bool is_v4() const { return is_v4_; }
  /// 4 or 16 bytes in network order; as long as this address lives.
  [[nodiscard]] ByteView bytes() const { return ByteView(bytes_).first(is_v4_ ? 4 : 16); }
  /// 0.0.0.0 or ::, which is every address where it is bound.
  [[nodiscard]] bool is_unspecified() const { return bytes_ == decltype(bytes_){}; }
  /// In its shortest form (RFC 5952), without brackets.
  [[nodiscard]] std::string text() const;

  /// The IPv4 address that an IPv6 address stands for: IPv4-mapped (::ffff:192.0.2.1), IPv4-compatible
  /// (::192.0.2.1, but not :: and ::1) and NAT64 (64:ff9b::/96). Any other address: itself. A rule about
  /// addresses is asked about this one; to connect, take the address as it was.
  [[nodiscard]] IpAddress normalised() const;

  [[nodiscard]] auto operator<=>(const IpAddress&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};  // an IPv4 address: the first four
  bool is_v4_ = true;
};

/// Whether both are of one family, with the same first `bits` bits (32 or 128 at most).
[[nodiscard]] bool share_prefix(const IpAddress& a, const IpAddress& b, unsigned bits);

/// An address and the number of its leading bits that count.
class IpNetwork {
 public:
  /// "ADDRESS/BITS", or an address alone for all of its bits. Errc::malformed: that is none, or bits behind
  /// the prefix are set.
  [[nodiscard]] static Result<IpNetwork> parse(std::string_view text);
  /// The network of this one address.
  explicit IpNetwork(const IpAddress& address);

  [[nodiscard]] const IpAddress& first() const { return first_; }
  [[nodiscard]] unsigned bits() const { return bits_; }
  /// An address of the other family is in none of ours: ask about a normalised one.
  [[nodiscard]] bool contains(const IpAddress& address) const;
  [[nodiscard]] bool contains(const IpNetwork& other) const;
  /// "10.0.0.0/8"; a single address without "/32".
  [[nodiscard]] std::string text() const;
  /// ::ffff:10.0.0.0/104 is 10.0.0.0/8: as IpAddress::normalised(), for networks inside those three.
  [[nodiscard]] IpNetwork normalised() const;

  [[nodiscard]] bool operator==(const IpNetwork&) const = default;

 private:
  IpNetwork(const IpAddress& first, unsigned bits) : first_(first), bits_(bits) {}

  IpAddress first_;
  unsigned bits_;
};

/// What an address is for. All but `ordinary` are places that somebody who may connect "anywhere" does not
/// mean, and that often trust whoever reaches them.
enum class AddressKind : std::uint8_t {
  ordinary,
  unspecified,  ///< 0.0.0.0/8, ::  (connecting there reaches the own machine)
  loopback,     ///< 127.0.0.0/8, ::1
  link_local,   ///< 169.254.0.0/16, fe80::/10
  metadata,     ///< where clouds tell a machine its secrets: 169.254.169.254, fd00:ec2::254, ...
  multicast,    ///< 224.0.0.0/4, ff00::/8
  reserved,     ///< 240.0.0.0/4, with the broadcast address
  transition,   ///< IPv6 that hides an IPv4 address at the next relay: 2002::/16, 2001::/32, 64:ff9b:1::/48,
                ///< ...
};

/// "a loopback address", "a link-local address", ...
[[nodiscard]] std::string_view describe(AddressKind kind);

struct KnownRange {
  AddressKind kind;
  IpNetwork network;
};

/// The narrowest of the ranges above that holds this normalised address; none: it is an ordinary one.
[[nodiscard]] std::optional<KnownRange> known_range(const IpAddress& address);

}  // namespace culvert
