// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/auth/server_auth.hpp"

#include <algorithm>

#include "base/wire.hpp"
#include "crypto/algorithms.hpp"
#include "proto/ssh/wire/messages.hpp"

namespace culvert::ssh {
namespace {

constexpr std::string_view kService = "ssh-connection";
constexpr std::string_view kMethods = "publickey";

// Of a security key's signature nobody here checks whether its token was touched: they are refused.
bool is_ours(std::string_view algorithm) {
  return std::ranges::find(crypto::signatures(), algorithm) != crypto::signatures().end();
}

}  // namespace

Bytes ServerAuth::refusal() {
  if (attempts_left_ > 0) --attempts_left_;
  return encoded(UserauthFailureMessage{NameList{kMethods}, false});
}

Result<ServerAuth::Step> ServerAuth::on_message(ByteView payload) {
  if (payload[0] != UserauthRequestMessage::kNumber) {
    return fail(Errc::protocol, "unexpected authentication message",
                static_cast<std::int64_t>(DisconnectReason::protocol_error));
  }
  if (attempts_left_ == 0) {
    return fail(Errc::limit, "too many authentication attempts",
                static_cast<std::int64_t>(DisconnectReason::no_more_auth_methods_available));
  }
  const auto request = TRY(decode<UserauthRequestMessage>(payload));
  if (request.service != kService) {
    return fail(Errc::protocol, "authentication for an unknown service",
                static_cast<std::int64_t>(DisconnectReason::service_not_available));
  }
  if (request.method != "publickey") return Reply{refusal()};
  const auto method = TRY(decode_fields<PublicKeyMethod>(request.method_fields.bytes));
  const auto key = crypto::PublicKey::parse(method.key);
  if (!key || !is_ours(method.algorithm) || crypto::key_type_of(method.algorithm) != key->type())
    return Reply{refusal()};

  if (method.is_signed) {
    Reader rest(method.rest.bytes);
    const ByteView signature = TRY(rest.string());
    TRY(rest.end());
    // What is signed: the session and the request up to the signature (RFC 4252 section 7).
    Bytes message;
    Writer(message).string(session_id_).bytes(payload.first(payload.size() - method.rest.bytes.size()));
    if (!key->verify(method.algorithm, message, signature)) return Reply{refusal()};
  } else if (!method.rest.bytes.empty()) {
    return fail(Errc::malformed, "message has extra bytes at its end");
  }
  algorithm_ = method.algorithm;
  offered_ = UserOffered{std::string(request.user), *key, method.is_signed};
  return *offered_;
}

std::optional<ServerAuth::Accepted> ServerAuth::accept() {
  if (!offered_) return std::nullopt;
  const UserOffered offer = *std::exchange(offered_, std::nullopt);
  if (offer.signed_) return Accepted{encoded(UserauthSuccessMessage{}), true};
  return Accepted{encoded(UserauthPkOkMessage{algorithm_, offer.key.blob()}), false};
}

std::optional<Bytes> ServerAuth::refuse() {
  if (!std::exchange(offered_, std::nullopt)) return std::nullopt;
  return refusal();
}

}  // namespace culvert::ssh
