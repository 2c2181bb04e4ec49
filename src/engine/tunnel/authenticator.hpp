// SPDX-License-Identifier: Apache-2.0
// Decides how to log in: which key, password or questions next, in the order that OpenSSH's client uses.
// Knows no session: the answers are values, and whoever has the session gives the commands.
#pragma once

#include <memory>
#include <optional>
#include <string>
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
  std::string algorithm;
  bool ask_first;
};
struct TryPassword {
  SecretBytes password;
};
struct TryKeyboardInteractive {};
using Attempt = std::variant<TryNone, TryKey, TryPassword, TryKeyboardInteractive>;

class Authenticator {
 public:
  /// `agent` may be null. `options`, `identities` and `prompter` must outlive it.
  Authenticator(const ServerOptions& options, Identities& identities, std::unique_ptr<Agent> agent,
                Prompter& prompter);

  /// Reads the identity files and asks the agent what it holds: before the first next().
  [[nodiscard]] relay::Task<void> prepare();

  /// What to try next. Errc::denied when nothing is left: "user@host: Permission denied
  /// (publickey,password)"; Errc::cancelled if the user gave up.
  [[nodiscard]] relay::Task<Result<Attempt>> next(ssh::AuthNext auth);

  /// A signature with the key that was offered last; none to pass it over.
  [[nodiscard]] relay::Task<std::optional<Bytes>> sign(ssh::UserSignatureWanted wanted);

  /// Answers to the server's questions. Errc::cancelled if the user gave up.
  [[nodiscard]] relay::Task<Result<std::vector<SecretBytes>>> answer(ssh::PromptsShown shown);

  /// The method of the last attempt: "publickey", "none", ...
  [[nodiscard]] const std::string& method() const { return method_; }

 private:
  struct Candidate {
    std::optional<crypto::PublicKey> key;  // none: known once its passphrase is
    std::shared_ptr<IdentityFile> file;    // null: in the agent
    std::string name;                      // for people: a path or the agent's comment
    bool tried = false;
  };

  [[nodiscard]] std::vector<Candidate> load_files();
  [[nodiscard]] bool may_ask() const;
  [[nodiscard]] relay::Task<std::optional<Attempt>> next_key();
  [[nodiscard]] std::optional<Attempt> offer(Candidate& candidate);
  [[nodiscard]] std::string choose_algorithm(const crypto::PublicKey& key) const;
  [[nodiscard]] relay::Task<Result<crypto::PrivateKey>> unlock(IdentityFile& file);
  [[nodiscard]] relay::Task<std::optional<Bytes>> signature_for(ssh::UserSignatureWanted wanted);
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
