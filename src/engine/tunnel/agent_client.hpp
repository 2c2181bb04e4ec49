// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "engine/tunnel/agent.hpp"
#include "net/socket.hpp"

namespace culvert::tunnel {

/// The agent behind a Unix socket (SSH_AUTH_SOCK). Connects with the first question.
class AgentClient final : public Agent {
 public:
  /// An agent that does not list its keys within `patience` counts as not there: it must not hold up a login
  /// that may not need it. Signing may take as long as its user does.
  explicit AgentClient(std::string path, Duration patience = std::chrono::seconds(5))
      : path_(std::move(path)), patience_(patience) {}

  [[nodiscard]] relay::Task<Result<std::vector<ssh::AgentIdentity>>> list() override;
  [[nodiscard]] relay::Task<Result<Bytes>> sign(crypto::PublicKey key, std::string algorithm,
                                                Bytes message) override;

 private:
  [[nodiscard]] relay::Task<Result<Bytes>> ask(Bytes request);
  [[nodiscard]] relay::Task<Result<void>> send(ByteView bytes);
  [[nodiscard]] relay::Task<Result<void>> receive(MutableBytes into);

  std::string path_;
  Duration patience_;
  std::optional<net::StreamSocket> socket_;
};

}  // namespace culvert::tunnel
