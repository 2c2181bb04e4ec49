// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "engine/connection/waiter.hpp"
#include "engine/relay/source.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::connection {
class SessionDriver;
}

namespace culvert::server {

/// The channels by which a client wants to be connected: direct-tcpip (RFC 4254 section 7.2) and
/// direct-streamlocal@openssh.com, as a source of streams.
class PeerChannels final : public relay::Source {
 public:
  PeerChannels(std::shared_ptr<connection::SessionDriver> driver, std::string name);
  ~PeerChannels() override;

  /// False: it is of another type.
  [[nodiscard]] bool take(const ssh::ChannelRequested& channel);

  [[nodiscard]] relay::Task<Result<std::unique_ptr<relay::Pending>>> next() override;
  void stop() override;
  [[nodiscard]] std::string name() const override { return name_; }
  /// Lets whoever waits in next() go, when the executor has stopped for good. Its holder may outlive the
  /// source.
  [[nodiscard]] std::function<void()> abandoner() const;

 private:
  struct State;
  const std::shared_ptr<State> state_;
  const std::string name_;
};

}  // namespace culvert::server
