// SPDX-License-Identifier: Apache-2.0
// What stands in front of each datagram between a client and its UDP association (RFC 1928 section 7).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "proto/socks/address.hpp"

namespace culvert::socks {

/// Where a datagram of a client is to go.
struct UdpRequest {
  /// A name passes is_host(), and is a view into the datagram.
  std::variant<Ipv4, Ipv6, std::string_view> host;
  std::uint16_t port = 0;
  ByteView data = {};  ///< the rest of the datagram; may be empty
};

/// Allocates nothing but an error's text. Errc::unsupported: a fragment, which RFC 1928 lets a server drop;
/// Errc::malformed: it is too short, of another type of address, or its name is none.
[[nodiscard]] Result<UdpRequest> read_udp_request(ByteView datagram);

/// The header of an answer: whom it comes from.
class UdpHeader {
 public:
  UdpHeader() = default;
  UdpHeader(const Ipv4& from, std::uint16_t port);
  UdpHeader(const Ipv6& from, std::uint16_t port);

  /// As long as this.
  [[nodiscard]] ByteView bytes() const { return ByteView(bytes_).first(size_); }

 private:
  void put(std::uint8_t type, ByteView address, std::uint16_t port);

  std::array<std::uint8_t, 22> bytes_{};
  std::size_t size_ = 0;
};

}  // namespace culvert::socks
