// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/auth/agent_protocol.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "base/wire.hpp"

namespace culvert::ssh {
namespace {

constexpr std::size_t kLengthSize = 4;

// Section 6.1.
constexpr std::uint8_t kFailure = 5;
constexpr std::uint8_t kRequestIdentities = 11;
constexpr std::uint8_t kIdentitiesAnswer = 12;
constexpr std::uint8_t kSignRequest = 13;
constexpr std::uint8_t kSignResponse = 14;
constexpr std::uint8_t kExtensionFailure = 28;

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

}  // namespace

Bytes encode_agent_identities_request() { return framed({kRequestIdentities}); }

Result<Bytes> encode_agent_sign_request(const crypto::PublicKey& key, std::string_view algorithm,
                                        ByteView message) {
  if (crypto::key_type_of(algorithm) != key.type()) {
    return fail(Errc::unsupported,
                fmt::format("a key of type {} makes no {} signatures", key.type(), printable(algorithm, 64)));
  }
  Bytes content;
  Writer(content).byte(kSignRequest).string(key.blob()).string(message).u32(flags_for(algorithm));
  if (content.size() > kMaxAgentMessage) return fail(Errc::limit, "message is too large for the agent");
  return framed(content);
}

Result<std::size_t> agent_message_missing(ByteView received) {
  if (received.size() < kLengthSize) return kLengthSize - received.size();
  const std::size_t length = TRY(Reader(received).u32());
  if (length == 0) return fail(Errc::malformed, "answer of the agent is empty");
  if (length > kMaxAgentMessage) return fail(Errc::limit, "answer of the agent is too large");
  const std::size_t whole = kLengthSize + length;
  return received.size() < whole ? whole - received.size() : 0;
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
    if (auto key = crypto::PublicKey::parse(blob)) {
      identities.usable.push_back({*std::move(key), std::string(comment)});
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
