// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/ip_address.hpp"
#include "engine/relay/dialer.hpp"
#include "files/access_rules.hpp"
#include "net/connect.hpp"
#include "net/resolver.hpp"
#include "net/stream_socket.hpp"

namespace culvert::relay {

/// Says whether `host` and `port`, as requested, may be connected to: before the name is resolved, with no
/// address (allowed then means that it depends on the address), and then for each address that it has.
using ConnectJudge = std::function<files::Decision(std::string_view host, std::uint16_t port,
                                                   const std::optional<IpAddress>& resolved)>;

using Resolved = std::expected<std::vector<boost::asio::ip::tcp::endpoint>, DialError>;

/// On whose behalf names are looked up for who came from there: its address; of IPv6 the first 64 bits, which
/// are one client's. All that have no address are one.
[[nodiscard]] net::Resolver::Requester requester_of(const Endpoint& origin);

/// Exactly those addresses of `place` that pass, never none; IPv4 in IPv6 (::ffff:192.0.2.1) as IPv4. `judge`
/// may be empty: then all do.
[[nodiscard]] Task<Resolved> resolve_judged(net::Resolver& resolver, HostPort place, net::Family family,
                                            ConnectJudge judge, net::Resolver::Requester requester);

using Connected = std::expected<net::StreamSocket, DialError>;

/// Connects to exactly those. A failure that is about the end to connect from says so.
[[nodiscard]] Task<Connected> connect_judged(net::Resolver& resolver, HostPort place, net::Family family,
                                             net::ConnectOptions options, ConnectJudge judge,
                                             net::Resolver::Requester requester);

/// What was not permitted, and the rule that would allow it.
[[nodiscard]] DialError not_permitted(const files::Decision& decision);
/// "connect failed: Connection refused".
[[nodiscard]] DialError connect_failed(const Error& error);

}  // namespace culvert::relay
