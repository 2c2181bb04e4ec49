// SPDX-License-Identifier: Apache-2.0
// One entry of `connect = [...]` or `listen = [...]` in a rules file (docs/rules.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ip_address.hpp"
#include "base/result.hpp"

namespace culvert::files {

struct PortRange {
  std::uint16_t first = 0;  ///< 0 is in no range but that of all ports
  std::uint16_t last = 65535;

  [[nodiscard]] bool contains(std::uint16_t port) const { return first <= port && port <= last; }
  [[nodiscard]] bool is_all() const { return first == 0 && last == 65535; }
  [[nodiscard]] bool operator==(const PortRange&) const = default;
};

/// "*", "80" or "8000-8999". Errc::malformed.
[[nodiscard]] Result<PortRange> parse_ports(std::string_view text);

struct ForwardRule {
  enum class Kind : std::uint8_t {
    any,        ///< "*": every name and every ordinary address; to listen: every address
    name,       ///< "*.example.org": the text of the request
    network,    ///< "10.0.0.0/8", "192.0.2.1": the address
    localhost,  ///< "localhost": 127.0.0.1 and ::1
    self,       ///< "self": every address of the own machine, loopback too. Only to connect
    standard,   ///< ports alone: the addresses of listen_default; denied: every address. Only to listen
    path,       ///< "unix:/run/app/*.sock": a Unix socket; '*' does not match a '/'
    permit,     ///< a key's permitopen or permitlisten
  };
  Kind kind = Kind::name;
  bool denies = false;  ///< "!...": what matches is refused, whatever else would allow it
  std::string pattern;  ///< of a name (in lower case, without a dot at its end), a path or a permit
  IpNetwork network = IpNetwork(IpAddress());
  PortRange ports;
  std::string text;  ///< as it was written: for people

  /// "[!]HOST:PORTS" or "[!]unix:PATH". Errc::malformed with what is wrong and what to write.
  [[nodiscard]] static Result<ForwardRule> parse_connect(std::string_view text);
  /// "[!]PORTS", "[!]ADDRESS:PORTS" or "[!]unix:PATH".
  [[nodiscard]] static Result<ForwardRule> parse_listen(std::string_view text);
};

/// 127.0.0.1 or ::1.
[[nodiscard]] bool is_localhost(const IpAddress& address);

/// The path of a Unix socket without double slashes and "." in it. Errc::denied: it is not absolute, is too
/// long for a socket, ends in a slash, or has ".." or control characters in it.
[[nodiscard]] Result<std::string> normal_path(std::string_view path);

/// A normal path against a pattern of one: '*' and '?' stand for anything but a slash.
[[nodiscard]] bool matches_path(std::string_view path, std::string_view pattern);

}  // namespace culvert::files
