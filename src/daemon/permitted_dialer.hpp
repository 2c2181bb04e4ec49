// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "engine/relay/dialer.hpp"

namespace culvert::daemon {

/// A dialer that reaches certain destinations alone (PermitRemoteOpen): what a proxy at the server may ask of
/// us. Names are compared as they are given, before anything is resolved.
class PermittedDialer final : public relay::Dialer {
 public:
  /// `inner` must outlive it. Nothing permits everything; of a rule, a host "*" permits every host, a port 0
  /// every port.
  PermittedDialer(relay::Dialer& inner, std::optional<std::vector<relay::HostPort>> permitted)
      : inner_(inner), permitted_(std::move(permitted)) {}

  [[nodiscard]] relay::Task<relay::Dialed> dial(const relay::Endpoint& destination,
                                                const relay::Visit& visit) override {
    if (!permits(destination))
      co_return std::unexpected(
          relay::DialError{relay::Refusal::prohibited, "not permitted by PermitRemoteOpen"});
    co_return co_await inner_.dial(destination, visit);
  }

 private:
  [[nodiscard]] bool permits(const relay::Endpoint& destination) const {
    if (!permitted_) return true;
    const auto* to = std::get_if<relay::HostPort>(&destination);
    return to != nullptr && std::ranges::any_of(*permitted_, [&](const relay::HostPort& rule) {
             return (rule.host == "*" || rule.host == to->host) && (rule.port == 0 || rule.port == to->port);
           });
  }

  relay::Dialer& inner_;
  const std::optional<std::vector<relay::HostPort>> permitted_;
};

}  // namespace culvert::daemon
