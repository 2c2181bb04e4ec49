// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace culvert::socks {

/// A name or an address in text ("db.internal", "10.0.0.5", "2001:db8::1": IPv6 without brackets), and a
/// port.
struct Address {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const Address&) const = default;
};

using Ipv4 = std::array<std::uint8_t, 4>;
using Ipv6 = std::array<std::uint8_t, 16>;

/// As IpAddress has them, of one family: its text, and what it takes for one.
[[nodiscard]] std::string ip_text(const Ipv4& address);
[[nodiscard]] std::string ip_text(const Ipv6& address);
[[nodiscard]] std::optional<Ipv4> parse_ipv4(std::string_view text);
[[nodiscard]] std::optional<Ipv6> parse_ipv6(std::string_view text);

/// Whether the text may go on as a host: 1 to 255 bytes, none of them a control character, a space or NUL,
/// where one program would end the name and another would not.
[[nodiscard]] bool is_host(std::string_view text);

/// "host:port", "[2001:db8::1]:port": what stands in an HTTP request, and what people read. Not made
/// printable.
[[nodiscard]] std::string authority(const Address& address);
/// The reverse; nothing if it is anything else. The port is 1 to 65535 and must be there.
[[nodiscard]] std::optional<Address> parse_authority(std::string_view text);

}  // namespace culvert::socks
