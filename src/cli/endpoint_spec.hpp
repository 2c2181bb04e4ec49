// SPDX-License-Identifier: Apache-2.0
// The words that name servers, listeners and destinations on the command line: -L, -W, [user@]host, ssh://.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "daemon/plan.hpp"

namespace culvert::cli {

/// -L and LocalForward, whose two words are joined by ':' first. Fields are separated by ':'; one that starts
/// with '/' is a path; '[' and ']' enclose an address with colons; '\' takes the next character as it is. A
/// listener without a bind address gets the host "" (GatewayPorts decides), one with an empty bind address or
/// "*" gets "*".
[[nodiscard]] Result<daemon::LocalForward> parse_local_forward(std::string_view text);

/// -D and DynamicForward: [bind:]port, or the path of a Unix socket; otherwise like the listener of -L.
[[nodiscard]] Result<daemon::DynamicForward> parse_dynamic_forward(std::string_view text);

/// -R and RemoteForward: like -L, or like -D for a proxy at the server.
[[nodiscard]] Result<daemon::RemoteForward> parse_remote_forward(std::string_view text);

/// The two words of `culvert map`: LISTEN is [tcp/|udp/|tcp+udp/][bind:]port[-port], TARGET host:port[-port],
/// or several with commas between them. Each may be a /path, or @name for a socket that stands in no file
/// system (unix(7): abstract), TARGET may be "-" for none. tcp+udp gives two forwards. Without a bind
/// address: "localhost".
[[nodiscard]] Result<std::vector<daemon::DirectForward>> parse_mapping(std::string_view listen,
                                                                       std::string_view targets);
/// host:port, /path or @name, or several with commas between them. At least one in the result.
[[nodiscard]] Result<std::vector<relay::Endpoint>> parse_targets(std::string_view text);
/// Refuses two that listen at the same place.
[[nodiscard]] Result<void> check_overlaps(std::span<const daemon::DirectForward> forwards);

/// -W host:port.
[[nodiscard]] Result<relay::HostPort> parse_stdio_destination(std::string_view text);

struct Destination {
  std::optional<std::string> user;
  std::string host;
  std::optional<std::uint16_t> port;
};

/// "[user@]host" or "ssh://[user@]host[:port]", whose user is decoded as ssh does: "%40" is '@' and '+' a
/// space.
[[nodiscard]] Result<Destination> parse_destination(std::string_view text);

/// PermitRemoteOpen: host:port, where "*" for either stands for all (a port 0 in the result).
[[nodiscard]] Result<relay::HostPort> parse_permitted(std::string_view text);

/// -J and ProxyJump: destinations separated by commas, the first one is connected to directly. Here each may
/// have a port without being an URI: "[user@]host[:port]".
[[nodiscard]] Result<std::vector<Destination>> parse_jumps(std::string_view text);

/// ProxyVia: "socks5://[user:password@]host[:port]" (port 1080), "http://..." (port 8080); "%40" in user and
/// password is '@'.
[[nodiscard]] Result<tunnel::ProxyVia> parse_proxy_via(std::string_view text);

/// Refuse names that could turn into options or shell text where a token expands to them later.
[[nodiscard]] Result<void> check_host_name(std::string_view host);
[[nodiscard]] Result<void> check_user_name(std::string_view user);

}  // namespace culvert::cli
