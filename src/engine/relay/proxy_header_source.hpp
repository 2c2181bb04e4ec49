// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/ip_address.hpp"
#include "base/time.hpp"
#include "engine/relay/hearing_source.hpp"

namespace culvert::relay {

struct ProxyHeaderSourceOptions {
  /// The proxies: who may say that a stream is somebody else's. An IPv4 address in IPv6 counts as IPv4.
  std::vector<IpNetwork> trusted = {};
  /// Whether those who come over a Unix socket are trusted: its permissions say who that can be.
  bool trusts_unix_sockets = false;
  /// How long a header may take. The protocol asks for 3 seconds at least (one retransmission).
  Duration patience = std::chrono::seconds(10);
  /// At most so many whose header is not there. One more pushes out the one who has waited longest.
  std::size_t limit = 1024;
};

/// A source on another one, whose streams all begin with a PROXY protocol header (version 1 or 2) of a proxy
/// that is trusted. A pending has the addresses of the header as its origin() and connected_to(), and its
/// stream begins behind the header. Where the header has none (UNKNOWN, LOCAL: a health check), they stay
/// those of the connection.
///
/// Others than the trusted are refused, and so is a trusted one without a header. Section 2 of the protocol:
/// a receiver must not guess whether a header is there. It could be told by the address, as haproxy does with
/// `expect-proxy layer4 if`, but then whoever reaches the port goes around the proxy and what that checks;
/// who wants both gives them a port each. (`accept-proxy` of haproxy and `proxy_protocol` of nginx want a
/// header from everybody, and the latter takes it from strangers, too, but does not believe it.)
///
/// Refusals are in the log (RefusalLog). Clients of the inner source must not wait for an answer
/// (Negotiation).
class ProxyHeaderSource final : public HearingSource {
 public:
  ProxyHeaderSource(std::unique_ptr<Source> inner, ProxyHeaderSourceOptions options);
};

}  // namespace culvert::relay
