// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>

#include "engine/relay/source.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::connection {

class SessionDriver;

/// A channel that the peer wants to open, as a stream that wants to be carried. A refusal tells the peer no
/// more than what it must tell whoever asked it (RFC 4254 section 5.1).
class PendingChannel final : public relay::Pending {
 public:
  /// `channel` was requested of the driver's session, and is not answered yet. `destination`: where it wants
  /// to go, if it says so.
  PendingChannel(std::shared_ptr<SessionDriver> driver, const ssh::ChannelRequested& channel,
                 std::optional<relay::Endpoint> destination);
  ~PendingChannel() override;

  [[nodiscard]] const std::optional<relay::Endpoint>& destination() const override { return destination_; }
  /// A Unix path for channels that come from a socket in a file system.
  [[nodiscard]] const relay::Endpoint& origin() const override { return origin_; }
  /// Of a forwarded channel: as its opening says.
  [[nodiscard]] std::optional<relay::Endpoint> connected_to() const override { return connected_to_; }
  [[nodiscard]] std::unique_ptr<relay::Stream> accept() override;
  void refuse(relay::Refusal reason) override;

 private:
  const std::shared_ptr<SessionDriver> driver_;
  const ssh::ChannelId id_;
  const std::optional<relay::Endpoint> destination_;
  const relay::Endpoint origin_;
  const std::optional<relay::Endpoint> connected_to_;
  bool done_ = false;
};

}  // namespace culvert::connection
