// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/public_key.hpp"
#include "engine/relay/stream.hpp"
#include "proto/ssh/auth/agent_protocol.hpp"

namespace culvert::tunnel {

/// Holds private keys and signs with them (ssh-agent).
class Agent {
 public:
  virtual ~Agent() = default;
  /// The keys that it holds and that we can use, in its order.
  [[nodiscard]] virtual relay::Task<Result<std::vector<ssh::AgentIdentity>>> list() = 0;
  /// A signature blob over `message`, made with `algorithm`. May take long: the agent may ask its user.
  [[nodiscard]] virtual relay::Task<Result<Bytes>> sign(ssh::AgentIdentity identity, std::string algorithm,
                                                        Bytes message) = 0;
  /// Tells it which session all that follows is for: it may hold keys that are for certain hosts alone.
  /// Errc::denied from one that does not know of that; it does no harm.
  [[nodiscard]] virtual relay::Task<Result<void>> bind(ssh::SessionBinding binding) = 0;
  /// Gives it a key to hold.
  [[nodiscard]] virtual relay::Task<Result<void>> add(crypto::PrivateKey key, std::string comment,
                                                      ssh::AgentConstraints constraints) = 0;
};

}  // namespace culvert::tunnel
