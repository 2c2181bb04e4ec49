// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/connection/inbox.hpp"
#include "engine/connection/session_driver.hpp"
#include "engine/tunnel/authenticator.hpp"
#include "engine/tunnel/host_identity.hpp"

namespace culvert::tunnel {

/// From the first packet to the login: each question of the session goes to whoever can answer it, and the
/// answer back as a command. While a person thinks, the session goes on.
class Login {
 public:
  /// All must outlive it.
  Login(connection::SessionDriver& driver, connection::Inbox& inbox, HostIdentity& identity,
        Authenticator& authenticator)
      : driver_(driver), inbox_(inbox), identity_(identity), authenticator_(authenticator) {}

  /// Returns when logged in, or with the line for the user: Errc::denied if the server refuses the account,
  /// also by SSH_MSG_DISCONNECT behind an attempt ("Too many authentication failures").
  [[nodiscard]] relay::Task<Result<void>> run();
  /// run() gave the session's own reason for its end, which names no server.
  [[nodiscard]] bool session_ended() const { return session_ended_; }

 private:
  [[nodiscard]] relay::Task<Result<void>> on_host_key(ssh::HostKeyOffered offered);
  [[nodiscard]] relay::Task<Result<void>> on_auth_next(ssh::AuthNext next);
  [[nodiscard]] relay::Task<Result<void>> on_signature_wanted(ssh::UserSignatureWanted wanted);
  [[nodiscard]] relay::Task<Result<void>> on_prompts(ssh::PromptsShown shown);

  connection::SessionDriver& driver_;
  connection::Inbox& inbox_;
  HostIdentity& identity_;
  Authenticator& authenticator_;
  bool attempted_ = false;  // to log in
  bool session_ended_ = false;
};

/// One line per agreed name, as ssh -v shows it.
void log_keys_agreed(const ssh::KeysAgreed& agreed);

}  // namespace culvert::tunnel
