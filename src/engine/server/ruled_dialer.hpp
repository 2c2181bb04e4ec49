// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "engine/relay/judged_connect.hpp"
#include "engine/server/account.hpp"
#include "engine/server/names.hpp"
#include "net/resolver.hpp"

namespace culvert::server {

/// Connects from here where a client may go: each address that a name has is judged, and exactly those that
/// pass are connected to. Each refusal is a line in the log, with the rule that would allow it.
class RuledDialer final : public relay::Dialer {
 public:
  /// `resolver` and `accounts` must outlive it. `who`: for the log.
  RuledDialer(net::Resolver& resolver, Accounts& accounts, std::shared_ptr<Permit> permit, ClientName who,
              Duration connect_time)
      : resolver_(resolver),
        accounts_(accounts),
        permit_(std::move(permit)),
        who_(std::move(who)),
        connect_time_(connect_time) {}

  [[nodiscard]] relay::Task<relay::Dialed> dial(const relay::Endpoint& destination,
                                                const relay::Visit& visit) override;

 private:
  [[nodiscard]] relay::Task<relay::Connected> connect_tcp(relay::HostPort place);
  [[nodiscard]] relay::Task<relay::Connected> connect_unix(std::string path);

  net::Resolver& resolver_;
  Accounts& accounts_;
  const std::shared_ptr<Permit> permit_;
  const ClientName who_;
  const Duration connect_time_;
};

/// Whether one more listener is within the limits of this user and key; Errc::limit with the reason.
[[nodiscard]] Result<void> check_room_for_listener(const Permit& permit);

}  // namespace culvert::server
