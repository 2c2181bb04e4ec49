// SPDX-License-Identifier: Apache-2.0
// Decides how to log in: which key, password or questions next, in the order that OpenSSH's client uses.
// Knows no session: the answers are values, and whoever has the session gives the commands.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/tunnel/agent.hpp"
#include "engine/tunnel/identities.hpp"
#include "engine/tunnel/prompter.hpp"
#include "engine/tunnel/server_options.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::tunnel {

struct TryNone {};  ///< to learn which methods there are
struct TryKey {
  crypto::PublicKey key;
  std::optional<crypto::Certificate> certificate;  // shown in place of the key
  std::string algorithm;
  bool ask_first;
};
struct TryPassword {
  SecretBytes password;
};
struct TryKeyboardInteractive {};
using Attempt = std::variant<TryNone, TryKey, TryPassword, TryKeyboardInteractive>;

/// Text from the server, line by line, as ssh shows a banner.
void show_text(std::string_view text);

class Authenticator {
 public:
  /// `agent` may be null. `options`, `identities` and `prompter` must outlive it.
  Authenticator(const ServerOptions& options, Identities& identities, std::unique_ptr<Agent> agent,
                Prompter& prompter);

  /// Reads the identity files: before all else.
  void prepare();

  /// The server is who it should be: the agent learns which session this is, and says what it holds for it.
  /// Before the first next().
  [[nodiscard]] relay::Task<void> enter(ssh::SessionBinding binding);

  /// What to try next. Errc::denied when nothing is left: "user@host: Permission denied
  /// (publickey,password)"; Errc::cancelled if the user gave up.
  [[nodiscard]] relay::Task<Result<Attempt>> next(ssh::AuthNext auth);

  /// A signature with the key that was offered last; none to pass it over.
  [[nodiscard]] relay::Task<std::optional<Bytes>> sign(ssh::UserSignatureWanted wanted);

  /// Answers to the server's questions. Errc::cancelled if the user gave up.
  [[nodiscard]] relay::Task<Result<std::vector<SecretBytes>>> answer(ssh::PromptsShown shown);

  /// Errc::denied: "user@host: Permission denied (WHY)".
  [[nodiscard]] Error denied(std::string_view why) const;

  /// The method of the last attempt: "publickey", "none", ...
  [[nodiscard]] const std::string& method() const { return method_; }

 private:
  struct Candidate {
    std::optional<crypto::PublicKey> key;            // none: known once its passphrase is
    std::optional<crypto::Certificate> certificate;  // of this key; shown in its place
    std::optional<ssh::AgentIdentity> in_agent;      // what the agent signs with
    std::shared_ptr<IdentityFile> file;              // or else: what signs
    std::string name;                                // for people: a path or the agent's comment
    bool tried = false;
  };

  [[nodiscard]] relay::Task<std::vector<ssh::AgentIdentity>> ask_agent(ssh::SessionBinding binding);
  [[nodiscard]] std::vector<Candidate> from_files() const;
  [[nodiscard]] bool find_signer(Candidate& candidate, const std::vector<ssh::AgentIdentity>& held) const;
  void line_up(const std::vector<ssh::AgentIdentity>& held);
  [[nodiscard]] static std::string description(const Candidate& candidate);
  [[nodiscard]] bool may_ask() const;
  [[nodiscard]] relay::Task<std::optional<Attempt>> next_key();
  [[nodiscard]] std::optional<Attempt> offer(Candidate& candidate);
  [[nodiscard]] std::string choose_algorithm(const crypto::PublicKey& key, bool certified) const;
  [[nodiscard]] relay::Task<Result<crypto::PrivateKey>> unlock(IdentityFile& file);
  void tell_locked(IdentityFile& file) const;
  [[nodiscard]] relay::Task<std::optional<Bytes>> signature_for(ssh::UserSignatureWanted wanted);
  [[nodiscard]] relay::Task<void> add_to_agent(IdentityFile& file, crypto::PrivateKey key);
  [[nodiscard]] relay::Task<Result<Attempt>> ask_password();

  const ServerOptions& options_;
  Identities& identities_;
  std::unique_ptr<Agent> agent_;
  Prompter& prompter_;
  std::string account_;  // user@host, printable

  std::vector<Candidate> candidates_;
  Candidate* offered_ = nullptr;
  std::vector<std::string> methods_;            // what the server said last
  std::vector<std::string> server_signatures_;  // empty: it did not say
  std::string method_;                          // of the last attempt; empty before the first
  bool unsigned_ = false;                       // that attempt was a key, and no signature was to be had
  bool answered_ = false;                       // the server has answered an attempt: its methods are known
  std::uint32_t passwords_tried_ = 0;
  std::uint32_t rounds_tried_ = 0;  // of keyboard-interactive
  bool questions_seen_ = false;     // in the last of these
};

}  // namespace culvert::tunnel
