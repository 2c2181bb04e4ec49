// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "engine/relay/dialer.hpp"
#include "engine/server/context.hpp"
#include "engine/server/names.hpp"

namespace culvert::connection {
class SessionDriver;
}

namespace culvert::server {

/// Takes what comes to one listener to the client who asked for it: a forwarded-tcpip channel, or
/// forwarded-streamlocal@openssh.com (RFC 4254 section 7.2, PROTOCOL of OpenSSH section 2.4).
class ClientDialer final : public relay::Dialer {
 public:
  /// `asked`: the listener in the words of the request, with the port that it got.
  ClientDialer(std::shared_ptr<Context> context, std::shared_ptr<connection::SessionDriver> driver,
               relay::Endpoint asked, std::shared_ptr<Permit> permit, ClientName who);

  [[nodiscard]] relay::Task<relay::Dialed> dial(const relay::Endpoint& destination,
                                                const relay::Visit& visit) override;

 private:
  const std::shared_ptr<Context> context_;
  const std::shared_ptr<connection::SessionDriver> driver_;
  const relay::Endpoint asked_;
  const std::shared_ptr<Permit> permit_;
  const ClientName who_;
};

}  // namespace culvert::server
