// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/auth/client_auth.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/wire.hpp"
#include "proto/ssh/wire/messages.hpp"
#include "proto/ssh/wire/name_list.hpp"

namespace culvert::ssh {
namespace {

constexpr std::string_view kService = "ssh-connection";
constexpr std::string_view kHostBound = "publickey-hostbound-v00@openssh.com";
constexpr std::size_t kMaxPrompts = 32;
constexpr std::size_t kMaxBanner = 64 * 1024;

std::unexpected<Error> unexpected_message(std::uint8_t number) {
  return fail(Errc::protocol,
              fmt::format("message {} does not belong to the authentication in progress", number),
              static_cast<std::int64_t>(DisconnectReason::protocol_error));
}

// The message holds a secret from here on; the plain copy is wiped.
SecretBytes sealed(Bytes& message) {
  SecretBytes secret(message);
  wipe(message);
  return secret;
}

}  // namespace

Result<ClientAuth::Step> ClientAuth::on_message(ByteView payload) {
  switch (payload[0]) {
    case UserauthBannerMessage::kNumber: {
      const auto banner = TRY(decode<UserauthBannerMessage>(payload));
      if (banners_left_ == 0 || banner.text.size() > kMaxBanner)
        return fail(Errc::limit, "the server sends too many banners");
      --banners_left_;
      return BannerShown{std::string(banner.text)};
    }
    case UserauthSuccessMessage::kNumber: {
      TRY(decode<UserauthSuccessMessage>(payload));
      if (!busy() || state_ == State::key_asked || state_ == State::key_signing)
        return unexpected_message(payload[0]);
      state_ = State::idle;
      return Authenticated{};
    }
    case UserauthFailureMessage::kNumber: {
      const auto failure = TRY(decode<UserauthFailureMessage>(payload));
      if (!busy() || state_ == State::key_signing) return unexpected_message(payload[0]);
      state_ = State::idle;
      last_failure_ = AuthNext{{}, failure.partial_success, {}};
      for (const std::string_view method : split_names(failure.can_continue.text)) {
        last_failure_.methods.emplace_back(method);
      }
      return next_attempt();
    }
    default:
      return on_method_message(payload);
  }
}

Result<ClientAuth::Step> ClientAuth::on_method_message(ByteView payload) {
  switch (state_) {
    case State::key_asked: {
      const auto ok = TRY(decode<UserauthPkOkMessage>(payload));
      if (ok.algorithm != offered_->algorithm || !std::ranges::equal(ok.key, offered_->blob)) {
        return fail(Errc::protocol, "the server accepted another key than the one offered",
                    static_cast<std::int64_t>(DisconnectReason::protocol_error));
      }
      state_ = State::key_signing;
      return UserSignatureWanted{offered_->key, offered_->algorithm, to_be_signed()};
    }
    case State::password: {
      const auto change = TRY(decode<UserauthPasswordChangeMessage>(payload));
      state_ = State::idle;
      last_failure_.partial_success = false;
      AuthNext next = last_failure_;
      next.password_change = change.prompt;
      return next;
    }
    case State::interactive:
      return on_info_request(payload);
    default:
      return unexpected_message(payload[0]);
  }
}

Result<ClientAuth::Step> ClientAuth::next_attempt() {
  if (attempts_left_ == 0) return fail(Errc::limit, "too many authentication attempts");
  return last_failure_;
}

Result<ClientAuth::Step> ClientAuth::on_info_request(ByteView payload) {
  const auto message = TRY(decode<UserauthInfoRequestMessage>(payload));
  if (message.count > kMaxPrompts || rounds_left_ == 0)
    return fail(Errc::limit, "the server asks too many questions");
  --rounds_left_;
  PromptsShown shown{std::string(message.name), std::string(message.instruction), {}};
  Reader reader(message.prompts.bytes);
  for (std::uint32_t i = 0; i < message.count; ++i) {
    const auto text = TRY(reader.text());
    const bool echo = TRY(reader.boolean());
    shown.prompts.push_back({std::string(text), echo});
  }
  TRY(reader.end());
  prompts_shown_ = shown.prompts.size();
  state_ = State::prompts_shown;
  return shown;
}

Bytes ClientAuth::request(std::string_view method, ByteView fields) const {
  return encoded(UserauthRequestMessage{user_, kService, method, Rest{fields}});
}

// With an empty signature: the part that is signed.
Bytes ClientAuth::signed_request(ByteView signature) const {
  Bytes rest;
  if (!host_key_.empty()) Writer(rest).string(host_key_);
  if (!signature.empty()) Writer(rest).string(signature);
  Bytes fields;
  encode_fields(fields, PublicKeyMethod{true, offered_->algorithm, offered_->blob, Rest{rest}});
  return request(host_key_.empty() ? "publickey" : kHostBound, fields);
}

Bytes ClientAuth::to_be_signed() const {
  Bytes message;
  Writer(message).string(session_id_).bytes(signed_request({}));
  return message;
}

std::optional<SecretBytes> ClientAuth::try_none() {
  if (busy()) return std::nullopt;
  state_ = State::none;
  return SecretBytes(request("none", {}));
}

std::optional<SecretBytes> ClientAuth::ask_public_key(OfferedKey key) {
  if (busy() || attempts_left_ == 0) return std::nullopt;
  --attempts_left_;
  state_ = State::key_asked;
  offered_ = std::move(key);
  Bytes fields;
  encode_fields(fields, PublicKeyMethod{false, offered_->algorithm, offered_->blob, Rest{}});
  return SecretBytes(request("publickey", fields));
}

std::optional<UserSignatureWanted> ClientAuth::sign_at_once(OfferedKey key, ByteView session_id) {
  if (busy() || attempts_left_ == 0) return std::nullopt;
  --attempts_left_;
  state_ = State::key_signing;
  offered_ = std::move(key);
  set_session_id(session_id);
  return UserSignatureWanted{offered_->key, offered_->algorithm, to_be_signed()};
}

std::optional<SecretBytes> ClientAuth::user_signature(ByteView signature) {
  if (state_ != State::key_signing) return std::nullopt;
  state_ = State::key_signed;
  return SecretBytes(signed_request(signature));
}

std::optional<AuthNext> ClientAuth::skip_signature() {
  if (state_ != State::key_signing) return std::nullopt;
  state_ = State::idle;
  ++attempts_left_;  // the server refused nothing
  last_failure_.partial_success = false;
  return last_failure_;
}

std::optional<SecretBytes> ClientAuth::try_password(const SecretBytes& password) {
  if (busy() || attempts_left_ == 0) return std::nullopt;
  --attempts_left_;
  state_ = State::password;
  Bytes fields;
  Writer(fields).boolean(false).string(password);
  Bytes message = request("password", fields);
  wipe(fields);
  return sealed(message);
}

std::optional<SecretBytes> ClientAuth::try_keyboard_interactive() {
  if (busy() || attempts_left_ == 0) return std::nullopt;
  --attempts_left_;
  rounds_left_ = 32;
  state_ = State::interactive;
  Bytes fields;
  Writer(fields).text("").text("");  // language, submethods
  return SecretBytes(request("keyboard-interactive", fields));
}

std::optional<SecretBytes> ClientAuth::answer_prompts(std::span<const SecretBytes> answers) {
  if (state_ != State::prompts_shown || answers.size() != prompts_shown_) return std::nullopt;
  state_ = State::interactive;
  std::size_t size = 0;
  for (const SecretBytes& answer : answers) size += 4 + answer.size();
  Bytes fields;
  fields.reserve(size);  // never moved: no unwiped copies are left behind
  Writer writer(fields);
  for (const SecretBytes& answer : answers) writer.string(answer);
  Bytes message;
  message.reserve(size + 8);
  encode(message, UserauthInfoResponseMessage{static_cast<std::uint32_t>(answers.size()), Rest{fields}});
  wipe(fields);
  return sealed(message);
}

}  // namespace culvert::ssh
