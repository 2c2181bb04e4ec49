// SPDX-License-Identifier: Apache-2.0
// The PROXY protocol, versions 1 and 2: what a proxy says in front of a stream about who is behind it. Its
// text is proxy-protocol.txt of haproxy; "section" in this folder is one of that.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "base/bytes.hpp"
#include "base/ip_address.hpp"

namespace culvert::proxyproto {

struct InetAddresses {
  IpAddress source;
  std::uint16_t source_port = 0;
  IpAddress destination;
  std::uint16_t destination_port = 0;
  bool operator==(const InetAddresses&) const = default;
};

/// Paths as they are, or "@" and a name in the abstract namespace; empty: no name. At most kMostPath bytes.
struct UnixAddresses {
  std::string source;
  std::string destination;
  bool operator==(const UnixAddresses&) const = default;
};
inline constexpr std::size_t kMostPath = 108;

struct Header {
  /// local: the proxy speaks for itself (a health check), and the addresses mean nothing.
  enum class Command : std::uint8_t { local, proxy };
  enum class Transport : std::uint8_t { stream, datagram };

  Command command = Command::proxy;
  Transport transport = Transport::stream;
  /// Neither: nobody knows (UNKNOWN, UNSPEC); the addresses of the connection itself are then the best ones.
  std::variant<std::monostate, InetAddresses, UnixAddresses> addresses = {};
  bool operator==(const Header&) const = default;
};

/// The bytes in front of the stream. What version 1 cannot say is "PROXY UNKNOWN": Unix sockets, datagrams,
/// local. Where one address is IPv4 and the other IPv6, the IPv4 one goes as IPv6 (::ffff:192.0.2.1). A path
/// that is too long goes as none.
[[nodiscard]] Bytes encode_v1(const Header& header);
[[nodiscard]] Bytes encode_v2(const Header& header);

/// The longest line of version 1, with its end (section 2.1).
inline constexpr std::size_t kMostV1 = 107;
/// What version 2 begins with (section 2.2).
inline constexpr std::array<std::uint8_t, 12> kSignature = {'\r', '\n', '\r', '\n', 0,   '\r',
                                                            '\n', 'Q',  'U',  'I',  'T', '\n'};

}  // namespace culvert::proxyproto
