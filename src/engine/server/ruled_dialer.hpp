// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "engine/relay/judged_connect.hpp"
#include "engine/server/context.hpp"
#include "engine/server/names.hpp"

namespace culvert::server {

/// Connects from here where a client may go: each address that a name has is judged, and exactly those that
/// pass are connected to. Each refusal is a line in the log, with the rule that would allow it.
class RuledDialer final : public relay::Dialer {
 public:
  /// `who`: for the log.
  RuledDialer(std::shared_ptr<Context> context, std::shared_ptr<Permit> permit, ClientName who)
      : context_(std::move(context)), permit_(std::move(permit)), who_(std::move(who)) {}

  [[nodiscard]] relay::Task<relay::Dialed> dial(const relay::Endpoint& destination,
                                                const relay::Visit& visit) override;

 private:
  [[nodiscard]] relay::Task<relay::Connected> connect_tcp(relay::HostPort place);
  [[nodiscard]] relay::Task<relay::Connected> connect_unix(std::string path);

  const std::shared_ptr<Context> context_;
  const std::shared_ptr<Permit> permit_;
  const ClientName who_;
};

}  // namespace culvert::server
