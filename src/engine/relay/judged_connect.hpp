// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "base/ip_address.hpp"
#include "engine/relay/dialer.hpp"
#include "files/access_rules.hpp"
#include "net/connect.hpp"
#include "net/resolver.hpp"

namespace culvert::relay {

/// Says whether `host` and `port`, as requested, may be connected to: before the name is resolved, with no
/// address (allowed then means that it depends on the address), and then for each address that it has.
using ConnectJudge = std::function<files::Decision(std::string_view host, std::uint16_t port,
                                                   const std::optional<IpAddress>& resolved)>;

using Connected = std::expected<net::StreamSocket, DialError>;

/// Connects to exactly those addresses of `place` that pass. `judge` may be empty: then all do. A failure
/// that is about the end to connect from says so.
[[nodiscard]] Task<Connected> connect_judged(net::Resolver& resolver, HostPort place, net::Family family,
                                             net::ConnectOptions options, ConnectJudge judge);

/// What was not permitted, and the rule that would allow it.
[[nodiscard]] DialError not_permitted(const files::Decision& decision);
/// "connect failed: Connection refused".
[[nodiscard]] DialError connect_failed(const Error& error);

}  // namespace culvert::relay
