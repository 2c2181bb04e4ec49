// SPDX-License-Identifier: Apache-2.0
// Visits and the headers that tell of them: the PROXY protocol in the words of this folder.
#pragma once

#include <optional>
#include <span>

#include "base/ip_address.hpp"
#include "engine/relay/visit.hpp"
#include "proto/proxyproto/header.hpp"

namespace culvert::relay {

/// The visit that a header tells of; none if it has no addresses of a stream.
[[nodiscard]] std::optional<KnownVisit> visit_in(const proxyproto::Header& header);

/// What to say about a visit. Without an IP address of its visitor that is nothing (LOCAL, UNKNOWN), also for
/// one to a Unix socket: every receiver must take that, while haproxy and nginx refuse the headers for
/// unknown and for Unix addresses, and haproxy sends none. Where the visitor is known, and the address that
/// they connected to is not or is a name (the "localhost" of `ssh -R`), that is the unspecified address, with
/// the port if there is one: the protocol has no other way to say one of the two.
[[nodiscard]] proxyproto::Header header_of(const Visit& visit);

/// Whether `peer` is one of the proxies that may say so: an address in one of these networks. An IPv4 address
/// in IPv6 counts as IPv4.
[[nodiscard]] bool is_trusted_proxy(std::span<const IpNetwork> proxies, const Endpoint& peer);

}  // namespace culvert::relay
