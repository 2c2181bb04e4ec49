// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/login.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"

namespace culvert::tunnel {
namespace {

// SSH_MSG_DISCONNECT in place of an answer to an attempt: the server has had enough of them (RFC 4252 section
// 4). Reasons that are about the server, which closes down or is full, are no judgement of the account.
bool is_refusal(const Error& error) {
  // RFC 4253 section 11.1.
  constexpr std::int64_t kConnectionLost = 10, kByApplication = 11, kTooManyConnections = 12,
                         kLastReason = 15;
  if (error.code != Errc::closed || error.detail <= 0 || error.detail > kLastReason) return false;
  return error.detail != kConnectionLost && error.detail != kByApplication &&
         error.detail != kTooManyConnections;
}

}  // namespace

relay::Task<Result<void>> Login::run() {
  for (;;) {
    auto event = co_await inbox_.take();
    if (!event) co_return cancelled();
    Result<void> done;
    if (auto* offered = std::get_if<ssh::HostKeyOffered>(&*event)) {
      done = co_await on_host_key(std::move(*offered));
    } else if (const auto* agreed = std::get_if<ssh::KeysAgreed>(&*event)) {
      log_keys_agreed(*agreed);
    } else if (auto* next = std::get_if<ssh::AuthNext>(&*event)) {
      done = co_await on_auth_next(std::move(*next));
    } else if (auto* wanted = std::get_if<ssh::UserSignatureWanted>(&*event)) {
      done = co_await on_signature_wanted(std::move(*wanted));
    } else if (auto* shown = std::get_if<ssh::PromptsShown>(&*event)) {
      done = co_await on_prompts(std::move(*shown));
    } else if (const auto* banner = std::get_if<ssh::BannerShown>(&*event)) {
      show_text(banner->text);
    } else if (std::holds_alternative<ssh::Authenticated>(*event)) {
      co_return Result<void>();
    } else if (auto* over = std::get_if<ssh::Disconnected>(&*event)) {
      if (attempted_ && is_refusal(over->error))
        co_return std::unexpected(authenticator_.denied(over->error.message));
      session_ended_ = true;
      co_return std::unexpected(std::move(over->error));
    }
    if (!done) co_return done;
  }
}

// Each answer may come late: when the session ends, whoever asks is cancelled, and its last event waits in
// the inbox and says why.

relay::Task<Result<void>> Login::on_host_key(ssh::HostKeyOffered offered) {
  log(LogLevel::verbose, "remote identification: {}", printable(driver_.session().peer_identification()));
  auto binding = std::move(offered.binding);
  auto verdict = co_await identity_.check(std::move(offered));
  if (driver_.is_over()) co_return Result<void>();
  if (!verdict) {
    driver_.session().reject_host_key(verdict.error().message);
    driver_.after_command();
    co_return std::unexpected(std::move(verdict).error());
  }
  driver_.session().accept_host_key();
  driver_.after_command();
  co_await authenticator_.enter(std::move(binding));  // while the server does the rest of its part
  co_return Result<void>();
}

relay::Task<Result<void>> Login::on_auth_next(ssh::AuthNext next) {
  auto attempt = co_await authenticator_.next(std::move(next));
  if (driver_.is_over()) co_return Result<void>();
  if (!attempt) co_return std::unexpected(std::move(attempt).error());
  auto& session = driver_.session();
  attempted_ = true;
  if (auto* key = std::get_if<TryKey>(&*attempt)) {
    if (key->certificate) {
      session.try_certificate(*key->certificate, std::move(key->algorithm), key->ask_first);
    } else {
      session.try_public_key(std::move(key->key), std::move(key->algorithm), key->ask_first);
    }
  } else if (const auto* password = std::get_if<TryPassword>(&*attempt)) {
    session.try_password(password->password);
  } else if (std::holds_alternative<TryKeyboardInteractive>(*attempt)) {
    session.try_keyboard_interactive();
  } else {
    session.try_none();
  }
  driver_.after_command();
  co_return Result<void>();
}

relay::Task<Result<void>> Login::on_signature_wanted(ssh::UserSignatureWanted wanted) {
  const auto signature = co_await authenticator_.sign(std::move(wanted));
  if (driver_.is_over()) co_return Result<void>();
  if (signature) {
    driver_.session().user_signature(*signature);
  } else {
    driver_.session().skip_signature();
  }
  driver_.after_command();
  co_return Result<void>();
}

relay::Task<Result<void>> Login::on_prompts(ssh::PromptsShown shown) {
  const auto answers = co_await authenticator_.answer(std::move(shown));
  if (driver_.is_over()) co_return Result<void>();
  if (!answers) co_return std::unexpected(answers.error());
  driver_.session().answer_prompts(*answers);
  driver_.after_command();
  co_return Result<void>();
}

void log_keys_agreed(const ssh::KeysAgreed& agreed) {
  const auto mac = [](const std::string& name) {
    return name.empty() ? std::string_view("<implicit>") : name;
  };
  log(LogLevel::verbose, "kex: algorithm: {}, host key algorithm: {}{}", agreed.key_exchange, agreed.host_key,
      agreed.strict ? ", strict" : "");
  log(LogLevel::verbose, "kex: server->client cipher: {} MAC: {}", agreed.cipher_in, mac(agreed.mac_in));
  log(LogLevel::verbose, "kex: client->server cipher: {} MAC: {}", agreed.cipher_out, mac(agreed.mac_out));
}

}  // namespace culvert::tunnel
