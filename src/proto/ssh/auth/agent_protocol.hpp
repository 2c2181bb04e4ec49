// SPDX-License-Identifier: Apache-2.0
// The client's side of the ssh-agent protocol (draft-ietf-sshm-ssh-agent): requests to bytes, answers to
// values. One request is under way at a time; whoever owns the socket writes it, then reads until
// agent_message_missing() is 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/time.hpp"
#include "crypto/certificate.hpp"
#include "crypto/private_key.hpp"
#include "crypto/public_key.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::ssh {

inline constexpr std::size_t kMaxAgentMessage = 256u << 10;  ///< bytes behind the length field
inline constexpr std::size_t kMaxAgentIdentities = 2048;

struct AgentIdentity {
  crypto::PublicKey key;
  std::optional<crypto::Certificate> certificate;  ///< of this key: the agent holds both as one
  std::string comment;                             ///< from the agent: make it printable before it is shown
  [[nodiscard]] ByteView blob() const { return certificate ? certificate->blob() : key.blob(); }
};

/// How an agent may use a key that it is given (section 3.2.7).
struct AgentConstraints {
  Duration lifetime{};   ///< whole seconds; 0: as long as the agent lives
  bool confirm = false;  ///< it asks its user before each signature
};

struct AgentIdentities {
  std::vector<AgentIdentity> usable;  ///< in the agent's order
  std::size_t skipped = 0;            ///< keys that we do not support
};

/// "Which keys do you hold?" (section 3.5), with its length field.
[[nodiscard]] Bytes encode_agent_identities_request();

/// "Sign this" (section 3.6), with its length field. `algorithm` is one of
/// signature_algorithms(identity.key.type()), or Errc::unsupported; Errc::limit if `message` is too large for
/// the agent.
[[nodiscard]] Result<Bytes> encode_agent_sign_request(const AgentIdentity& identity,
                                                      std::string_view algorithm, ByteView message);

/// "This connection belongs to that session": OpenSSH's extension session-bind@openssh.com (PROTOCOL.agent,
/// section 1), for keys that are only for certain hosts.
[[nodiscard]] Bytes encode_agent_session_bind(const SessionBinding& binding);

/// "Hold this key" (section 3.2).
[[nodiscard]] SecretBytes encode_agent_add_request(const crypto::PrivateKey& key, std::string_view comment,
                                                   const AgentConstraints& constraints);

/// How many bytes of an answer are still to come after `received`, as far as can be told: 0 when it is whole.
/// Read no more than that. Errc::malformed for an empty message, Errc::limit for one above kMaxAgentMessage.
[[nodiscard]] Result<std::size_t> agent_message_missing(ByteView received);

/// The answer to each request, whole, with its length field. Errc::denied if the agent refused (it is locked,
/// or somebody said no), Errc::protocol for the answer to something else, Errc::malformed, Errc::limit.
[[nodiscard]] Result<void> decode_agent_success(ByteView received);
[[nodiscard]] Result<AgentIdentities> decode_agent_identities(ByteView received);
/// The signature blob, that of a security key too. Errc::unsupported if the agent signed with another
/// algorithm than the one asked for: old agents know SHA-1 only.
[[nodiscard]] Result<Bytes> decode_agent_signature(ByteView received, std::string_view algorithm);

}  // namespace culvert::ssh
