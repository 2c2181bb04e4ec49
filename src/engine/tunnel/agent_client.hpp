// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "engine/tunnel/agent.hpp"
#include "net/stream_socket.hpp"

namespace culvert::tunnel {

/// The agent behind a Unix socket (SSH_AUTH_SOCK). Connects with the first question.
class AgentClient final : public Agent {
 public:
  /// An agent that does not answer within `patience` counts as not there: it must not hold up a login that
  /// may not need it. Signing may take as long as its user does.
  explicit AgentClient(std::string path, Duration patience = std::chrono::seconds(5))
      : path_(std::move(path)), patience_(patience) {}

  [[nodiscard]] relay::Task<Result<std::vector<ssh::AgentIdentity>>> list() override;
  [[nodiscard]] relay::Task<Result<Bytes>> sign(ssh::AgentIdentity identity, std::string algorithm,
                                                Bytes message) override;
  [[nodiscard]] relay::Task<Result<void>> bind(ssh::SessionBinding binding) override;
  [[nodiscard]] relay::Task<Result<void>> add(crypto::PrivateKey key, std::string comment,
                                              ssh::AgentConstraints constraints) override;

 private:
  [[nodiscard]] relay::Task<Result<Bytes>> ask_within_patience(SecretBytes request);
  [[nodiscard]] relay::Task<Result<Bytes>> ask(SecretBytes request);
  [[nodiscard]] relay::Task<Result<Bytes>> exchange(ByteView request);
  [[nodiscard]] relay::Task<Result<void>> send(ByteView bytes);
  [[nodiscard]] relay::Task<Result<void>> receive(MutableBytes into);

  std::string path_;
  Duration patience_;
  std::optional<net::StreamSocket> socket_;
  Bytes bind_request_;  // said first on each connection, once bind() was called
};

}  // namespace culvert::tunnel
