// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>

#include "engine/relay/dialer.hpp"
#include "engine/relay/judged_connect.hpp"
#include "net/connect.hpp"
#include "net/resolver.hpp"

namespace culvert::relay {

/// Connects from here: resolves, and tries the addresses by Happy Eyeballs. Datagrams go where
/// streams may, and from there streams may come.
class DirectDialer final : public Dialer, private DatagramCarrier, private PeerListener {
 public:
  /// `resolver` must outlive it. With options.transparent it connects from the address of whoever came, if
  /// that is one, in place of options.bind_addresses. `judge` says where it may connect; empty: anywhere.
  /// Unix sockets are not judged.
  explicit DirectDialer(net::Resolver& resolver, net::ConnectOptions options = {},
                        net::Family family = net::Family::any, ConnectJudge judge = {})
      : resolver_(resolver), options_(std::move(options)), family_(family), judge_(std::move(judge)) {}

  /// Messages: "connect failed: Connection refused", "cannot resolve db: Name or service not known".
  [[nodiscard]] Task<Dialed> dial(const Endpoint& destination, const Visit& visit) override;

  [[nodiscard]] DatagramCarrier* datagrams() override { return this; }
  [[nodiscard]] PeerListener* peer_listener() override { return this; }

 private:
  [[nodiscard]] net::ConnectOptions options_for(const Visit& visit) const;
  [[nodiscard]] std::optional<boost::asio::ip::address> source() const override;
  [[nodiscard]] std::expected<void, DialError> judge(const boost::asio::ip::udp::endpoint& destination,
                                                     const Endpoint& origin) override;
  [[nodiscard]] Task<Found> look_up(HostPort destination, Endpoint origin) override;
  [[nodiscard]] Task<Bound> listen_for(Endpoint peer, Endpoint origin) override;

  net::Resolver& resolver_;
  net::ConnectOptions options_;
  net::Family family_;
  ConnectJudge judge_;
};

}  // namespace culvert::relay
