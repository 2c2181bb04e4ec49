// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/time.hpp"
#include "engine/relay/dialer.hpp"

namespace culvert::relay {

enum class ProxyHeaderVersion : std::uint8_t { v1, v2 };

/// A dialer on another one, whose streams begin with a PROXY protocol header about the visit: a destination
/// that expects one learns who is behind the stream. It is sent before dial() returns, so nothing comes
/// before it. Streams that come to a far listener (SOCKS BIND) go the other way, and have none.
class ProxyHeaderDialer final : public Dialer {
 public:
  /// `inner` must outlive it. `patience`: how long a stream may take no header before it is given up.
  ProxyHeaderDialer(Dialer& inner, ProxyHeaderVersion version, Duration patience = std::chrono::seconds(10))
      : inner_(inner), version_(version), patience_(patience) {}

  [[nodiscard]] Task<Dialed> dial(const Endpoint& destination, const Visit& visit) override;
  [[nodiscard]] FarListener* far_listener() override { return inner_.far_listener(); }
  [[nodiscard]] PeerListener* peer_listener() override { return inner_.peer_listener(); }

 private:
  Dialer& inner_;
  const ProxyHeaderVersion version_;
  const Duration patience_;
};

}  // namespace culvert::relay
