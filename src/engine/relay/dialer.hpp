// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "engine/relay/datagram_carrier.hpp"
#include "engine/relay/endpoint.hpp"
#include "engine/relay/refusal.hpp"
#include "engine/relay/source.hpp"
#include "engine/relay/stream.hpp"
#include "engine/relay/visit.hpp"

namespace culvert::relay {

using Dialed = std::expected<std::unique_ptr<Stream>, DialError>;

/// A place at a dialer's far end where others connect; each who does is a stream of this source.
class BoundSource : public Source {
 public:
  /// Where it listens, with the port that was chosen if 0 was asked for.
  [[nodiscard]] virtual const Endpoint& bound() const = 0;
  /// Whether a stream from there may be taken, as far as this end knows.
  [[nodiscard]] virtual bool lets_in(const Endpoint&) const { return true; }
};

using Bound = std::expected<std::unique_ptr<BoundSource>, DialError>;

/// Of dialers at whose far end somebody may come to a client (SOCKS BIND).
class PeerListener {
 public:
  virtual ~PeerListener() = default;
  /// Listens at any port there on behalf of `origin`, for one stream of `peer`: its host may be zeros or a
  /// name that only the far end knows, its port 0. It ends as of FarListener.
  [[nodiscard]] virtual Task<Bound> listen_for(Endpoint peer, Endpoint origin) = 0;
};

/// Of dialers whose far end can be listened at, wherever that is said to be (remote forwards).
class FarListener : public PeerListener {
 public:
  /// Listens at `where` on the far end; port 0: that end chooses. What an empty host, "localhost" and "*"
  /// mean is that of RFC 4254 section 7.1. It ends with stop() of the source, or when that is destroyed.
  [[nodiscard]] virtual Task<Bound> listen(const Endpoint& where) = 0;

  /// At every address.
  [[nodiscard]] Task<Bound> listen_for(Endpoint /*peer*/, Endpoint /*origin*/) override {
    const Endpoint anywhere = HostPort{};
    co_return co_await listen(anywhere);
  }
};

/// How a destination is reached.
class Dialer {
 public:
  virtual ~Dialer() = default;
  /// Connects to `destination` on behalf of who came by `visit`; both must last until it returns. Each call
  /// stands alone: a silent destination delays no other. Obeys Asio cancellation (terminal), with
  /// Refusal::closed: a forward that ends gives up the dials that still wait.
  [[nodiscard]] virtual Task<Dialed> dial(const Endpoint& destination, const Visit& visit) = 0;

  /// How its far end is listened at; null if it cannot be. As long as the dialer.
  [[nodiscard]] virtual FarListener* far_listener() { return nullptr; }
  /// How somebody there comes to a client; null if nobody can. As long as the dialer.
  [[nodiscard]] virtual PeerListener* peer_listener() { return far_listener(); }
  /// How datagrams get there; null if they cannot. As long as the dialer.
  [[nodiscard]] virtual DatagramCarrier* datagrams() { return nullptr; }
};

}  // namespace culvert::relay
