// SPDX-License-Identifier: Apache-2.0
// The client's side of authentication (RFC 4252, 4256): one request at a time; what to try next is decided
// outside.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/public_key.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::ssh {

/// A key as it is offered: `blob` is its own or that of its certificate, as `algorithm` says.
struct OfferedKey {
  crypto::PublicKey key;
  Bytes blob;
  std::string algorithm;
};

class ClientAuth {
 public:
  using Step =
      std::variant<std::monostate, AuthNext, UserSignatureWanted, PromptsShown, BannerShown, Authenticated>;

  ClientAuth(std::string user, std::uint32_t max_attempts)
      : user_(std::move(user)), attempts_left_(max_attempts) {}

  /// A message 51 to 53 or 60. Errc::protocol for one that does not belong to what we asked, Errc::limit for
  /// too many.
  [[nodiscard]] Result<Step> on_message(ByteView payload);

  // Each returns the payload to send. Commands that do not fit the moment return nothing: the caller's bug,
  // but harmless.
  [[nodiscard]] std::optional<SecretBytes> try_none();
  [[nodiscard]] std::optional<SecretBytes> ask_public_key(OfferedKey key);
  [[nodiscard]] std::optional<SecretBytes> try_password(const SecretBytes& password);
  [[nodiscard]] std::optional<SecretBytes> try_keyboard_interactive();
  [[nodiscard]] std::optional<SecretBytes> answer_prompts(std::span<const SecretBytes> answers);

  /// Starts a public key attempt without asking first: the event to give out.
  [[nodiscard]] std::optional<UserSignatureWanted> sign_at_once(OfferedKey key, ByteView session_id);
  [[nodiscard]] std::optional<SecretBytes> user_signature(ByteView signature);
  /// Gives the attempt up; the event to give out.
  [[nodiscard]] std::optional<AuthNext> skip_signature();

  /// Needed for what is signed (RFC 4252 section 7).
  void set_session_id(ByteView session_id) { session_id_ = copy_of(session_id); }
  /// What is signed names the server's key from now on (publickey-hostbound-v00@openssh.com).
  void bind_to_host(ByteView host_key) { host_key_ = copy_of(host_key); }

 private:
  enum class State : std::uint8_t {
    idle,
    none,
    key_asked,
    key_signing,
    key_signed,
    password,
    interactive,
    prompts_shown
  };

  Result<Step> on_method_message(ByteView payload);
  Result<Step> on_info_request(ByteView payload);
  Result<Step> next_attempt();
  [[nodiscard]] Bytes request(std::string_view method, ByteView fields) const;
  [[nodiscard]] Bytes signed_request(ByteView signature) const;
  [[nodiscard]] Bytes to_be_signed() const;
  [[nodiscard]] bool busy() const { return state_ != State::idle; }

  std::string user_;
  Bytes session_id_;
  State state_ = State::idle;
  std::uint32_t attempts_left_;
  std::uint32_t banners_left_ = 32;
  std::uint32_t rounds_left_ = 32;  // of prompts within one attempt
  std::optional<OfferedKey> offered_;
  Bytes host_key_;  // empty: logins are not bound to it
  std::size_t prompts_shown_ = 0;
  AuthNext last_failure_;
};

}  // namespace culvert::ssh
