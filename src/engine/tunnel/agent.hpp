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
  [[nodiscard]] virtual relay::Task<Result<Bytes>> sign(crypto::PublicKey key, std::string algorithm,
                                                        Bytes message) = 0;
};

}  // namespace culvert::tunnel
