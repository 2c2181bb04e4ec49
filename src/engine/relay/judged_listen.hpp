// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/relay/dialer.hpp"
#include "engine/relay/judged_connect.hpp"
#include "net/connect.hpp"
#include "net/resolver.hpp"

namespace culvert::relay {

/// Listens here for a stream of `peer`, who must be one that could be connected to (RFC 1928 section 4,
/// BIND): at the first of options.bind_addresses, else at the address of ours that faces it. A peer with a
/// port is resolved and judged at once, and its addresses alone are let in. One without, or with an address
/// of zeros, is judged when it comes; with zeros at every address of ours. `judge` may be empty: then all may
/// come.
[[nodiscard]] Task<Bound> listen_judged(net::Resolver& resolver, HostPort peer, net::Family family,
                                        net::ConnectOptions options, ConnectJudge judge,
                                        net::Resolver::Requester requester);

}  // namespace culvert::relay
