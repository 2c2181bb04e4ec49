// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/auth/agent_protocol.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "base/wire.hpp"
#include "crypto/key_algorithms.hpp"

namespace culvert::ssh {
namespace {

constexpr std::size_t kLengthSize = 4;

// Section 6.1.
constexpr std::uint8_t kFailure = 5;
constexpr std::uint8_t kSuccess = 6;
constexpr std::uint8_t kRequestIdentities = 11;
constexpr std::uint8_t kIdentitiesAnswer = 12;
constexpr std::uint8_t kSignRequest = 13;
constexpr std::uint8_t kSignResponse = 14;
constexpr std::uint8_t kAddIdentity = 17;
constexpr std::uint8_t kAddIdConstrained = 25;
constexpr std::uint8_t kExtension = 27;
constexpr std::uint8_t kExtensionFailure = 28;
// Section 6.2.
constexpr std::uint8_t kConstrainLifetime = 1;
constexpr std::uint8_t kConstrainConfirm = 2;

/// Section 6.3.
std::uint32_t flags_for(std::string_view algorithm) {
  if (algorithm == "rsa-sha2-256") return 2;
  return algorithm == "rsa-sha2-512" ? 4 : 0;
}

Bytes framed(const Bytes& content) {
  Bytes message;
  message.reserve(kLengthSize + content.size());
  Writer(message).string(content);
  return message;
}

/// The content of an answer behind its type, which must be `expected`.
Result<ByteView> open(ByteView received, std::uint8_t expected) {
  Reader reader(received);
  const ByteView message = TRY(reader.string());
  TRY(reader.end());
  if (message.size() > kMaxAgentMessage) return fail(Errc::limit, "answer of the agent is too large");
  Reader content(message);
  const std::uint8_t type = TRY(content.byte());
  if (type == kFailure || type == kExtensionFailure) return fail(Errc::denied, "agent refused the request");
  if (type != expected) {
    return fail(Errc::protocol,
                fmt::format("agent gave an answer of type {} where {} belongs", type, expected));
  }
  return content.rest();
}

/// A key, or a certificate of one, by the type that its blob names.
Result<AgentIdentity> read_identity(ByteView blob, std::string_view comment) {
  if (crypto::certified_key_type(TRY(Reader(blob).text())).empty())
    return AgentIdentity{TRY(crypto::PublicKey::parse(blob)), std::nullopt, std::string(comment)};
  auto certificate = TRY(crypto::Certificate::parse(blob));
  auto key = certificate.key();
  return AgentIdentity{std::move(key), std::move(certificate), std::string(comment)};
}

}  // namespace

Bytes encode_agent_identities_request() { return framed({kRequestIdentities}); }

Result<Bytes> encode_agent_sign_request(const AgentIdentity& identity, std::string_view algorithm,
                                        ByteView message) {
  if (crypto::key_type_of(algorithm) != identity.key.type()) {
    return fail(Errc::unsupported, fmt::format("a key of type {} makes no {} signatures", identity.key.type(),
                                               printable(algorithm, 64)));
  }
  Bytes content;
  Writer(content).byte(kSignRequest).string(identity.blob()).string(message).u32(flags_for(algorithm));
  if (content.size() > kMaxAgentMessage) return fail(Errc::limit, "message is too large for the agent");
  return framed(content);
}

Bytes encode_agent_session_bind(const SessionBinding& binding) {
  Bytes content;
  Writer(content)
      .byte(kExtension)
      .text("session-bind@openssh.com")
      .string(binding.host_key)
      .string(binding.session_id)
      .string(binding.signature)
      .boolean(false);  // not for forwarding
  return framed(content);
}

SecretBytes encode_agent_add_request(const crypto::PrivateKey& key, std::string_view comment,
                                     const AgentConstraints& constraints) {
  const SecretBytes fields = crypto::encode_private_key(key);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(constraints.lifetime).count();
  Bytes message;
  message.reserve(2 * kLengthSize + 1 + fields.size() + comment.size() + 8);  // never moved: no copies stay
  Writer writer(message);
  writer.u32(0).byte(seconds > 0 || constraints.confirm ? kAddIdConstrained : kAddIdentity);
  writer.bytes(fields).text(comment);
  if (seconds > 0) writer.byte(kConstrainLifetime).u32(static_cast<std::uint32_t>(seconds));
  if (constraints.confirm) writer.byte(kConstrainConfirm);
  store_u32(message.data(), static_cast<std::uint32_t>(message.size() - kLengthSize));
  SecretBytes secret(message);
  wipe(message);
  return secret;
}

Result<std::size_t> agent_message_missing(ByteView received) {
  if (received.size() < kLengthSize) return kLengthSize - received.size();
  const std::size_t length = TRY(Reader(received).u32());
  if (length == 0) return fail(Errc::malformed, "answer of the agent is empty");
  if (length > kMaxAgentMessage) return fail(Errc::limit, "answer of the agent is too large");
  const std::size_t whole = kLengthSize + length;
  return received.size() < whole ? whole - received.size() : 0;
}

Result<void> decode_agent_success(ByteView received) {
  Reader reader(TRY(open(received, kSuccess)));
  return reader.end();
}

Result<AgentIdentities> decode_agent_identities(ByteView received) {
  Reader reader(TRY(open(received, kIdentitiesAnswer)));
  const std::uint32_t count = TRY(reader.u32());
  if (count > kMaxAgentIdentities)
    return fail(Errc::limit, fmt::format("agent holds {} keys, too many", count));
  AgentIdentities identities;
  for (std::uint32_t i = 0; i < count; ++i) {
    const ByteView blob = TRY(reader.string());
    const std::string_view comment = TRY(reader.text());
    if (auto identity = read_identity(blob, comment)) {
      identities.usable.push_back(*std::move(identity));
    } else {
      ++identities.skipped;
    }
  }
  TRY(reader.end());
  return identities;
}

Result<Bytes> decode_agent_signature(ByteView received, std::string_view algorithm) {
  Reader reader(TRY(open(received, kSignResponse)));
  const ByteView signature = TRY(reader.string());
  TRY(reader.end());
  const std::string_view made_by = TRY(Reader(signature).text());
  if (made_by != algorithm) {
    return fail(Errc::unsupported, fmt::format("agent signed with {} although {} was asked for",
                                               printable(made_by, 64), printable(algorithm, 64)));
  }
  return copy_of(signature);
}

}  // namespace culvert::ssh
