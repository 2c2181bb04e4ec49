// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/auth/server_auth.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "base/wire.hpp"
#include "crypto/key_algorithms.hpp"
#include "proto/ssh/transport/shown_key.hpp"
#include "proto/ssh/wire/messages.hpp"

namespace culvert::ssh {
namespace {

constexpr std::string_view kService = "ssh-connection";
constexpr std::string_view kMethods = "publickey";
constexpr std::string_view kHostBound = "publickey-hostbound-v00@openssh.com";
constexpr std::size_t kMaxBanner = 32 * 1024;

// All but security keys: nobody here checks whether the token was touched.
bool is_ours(std::string_view algorithm) {
  return std::ranges::find(crypto::host_key_algorithms(), algorithm) != crypto::host_key_algorithms().end();
}

/// The key that a user shows, if it is one that may log in at all.
std::optional<ShownKey> read_user_key(const PublicKeyMethod& method) {
  if (!is_ours(method.algorithm)) return std::nullopt;
  auto shown = read_shown_key(method.key, method.algorithm);
  if (!shown || shown->fault) return std::nullopt;
  const bool fits = shown->key.type() == crypto::key_type_of(crypto::signature_of(method.algorithm));
  const bool is_for_users =
      !shown->certificate || shown->certificate->kind() == crypto::Certificate::Kind::user;
  if (!fits || !is_for_users) return std::nullopt;
  return std::move(*shown);
}

}  // namespace

Bytes ServerAuth::methods() {
  if (attempts_left_ > 0) --attempts_left_;
  return encoded(UserauthFailureMessage{NameList{kMethods}, false});
}

Bytes ServerAuth::refusal() {
  ++refused_;
  return methods();
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
  const bool is_first = std::exchange(is_first_, false);
  const auto request = TRY(decode<UserauthRequestMessage>(payload));
  if (request.service != kService) {
    return fail(Errc::protocol, "authentication for an unknown service",
                static_cast<std::int64_t>(DisconnectReason::service_not_available));
  }
  if (request.method == kMethods || request.method == kHostBound) return on_key(request, payload);
  // As in sshd: a first question about the methods is no attempt.
  if (request.method == "none" && is_first)
    return Reply{encoded(UserauthFailureMessage{NameList{kMethods}, false})};
  if (request.method == "none") return Reply{methods()};
  return Reply{refusal()};
}

// A signature is checked before anybody is asked whether user and key are known: the time that an answer
// takes must not tell.
Result<ServerAuth::Step> ServerAuth::on_key(const UserauthRequestMessage& request, ByteView payload) {
  const auto method = TRY(decode_fields<PublicKeyMethod>(request.method_fields.bytes));
  const bool host_bound = request.method == kHostBound;
  Reader rest(method.rest.bytes);
  ByteView host_key, signature;
  if (host_bound) host_key = TRY(rest.string());
  const ByteView signed_part = payload.first(payload.size() - rest.remaining());
  if (method.is_signed) signature = TRY(rest.string());
  TRY(rest.end());

  auto shown = read_user_key(method);
  // Somebody between us and the client would show it another key than ours.
  if (!shown || (host_bound && !std::ranges::equal(host_key, host_key_))) return Reply{refusal()};
  if (method.is_signed) {
    // What is signed: the session and the request up to the signature (RFC 4252 section 7).
    Bytes message;
    Writer(message).string(session_id_).bytes(signed_part);
    if (!shown->key.verify(crypto::signature_of(method.algorithm), message, signature))
      return Reply{refusal()};
  }
  offered_blob_ = copy_of(method.key);
  offered_ = UserOffered{std::string(request.user),     std::move(shown->key),         method.is_signed,
                         std::string(method.algorithm), std::move(shown->certificate), host_bound};
  return *offered_;
}

std::optional<ServerAuth::Accepted> ServerAuth::accept() {
  if (!offered_) return std::nullopt;
  const UserOffered offer = *std::exchange(offered_, std::nullopt);
  if (offer.signed_) return Accepted{encoded(UserauthSuccessMessage{}), true};
  return Accepted{encoded(UserauthPkOkMessage{offer.algorithm, offered_blob_}), false};
}

std::optional<Bytes> ServerAuth::refuse() {
  if (!std::exchange(offered_, std::nullopt)) return std::nullopt;
  return refusal();
}

Bytes banner_message(std::string_view text) {
  std::string lines;
  for (const char c : text) {
    if (lines.size() + 2 > kMaxBanner) break;
    if (c == '\n' && !lines.ends_with('\r')) lines += '\r';
    lines += c;
  }
  return encoded(UserauthBannerMessage{lines, ""});
}

}  // namespace culvert::ssh
