// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "engine/tunnel/prompter.hpp"

namespace culvert::cli {

/// Asks by a program with a window of its own, as ssh(1) does (SSH_ASKPASS): it is started with the question
/// as its argument, and the first line of its standard output is the answer. SSH_ASKPASS_PROMPT=confirm tells
/// it that a button is enough: then its exit status answers, unless it says something else than "yes".
/// While it runs, the program goes on: signals and deadlines are heard. When the question is withdrawn it
/// gets SIGTERM, with all that it started.
class AskpassPrompter final : public tunnel::Prompter {
 public:
  /// `program`: a path, or a name that is looked for in PATH.
  explicit AskpassPrompter(std::string program) : program_(std::move(program)) {}

  /// False once the program could not be started.
  [[nodiscard]] bool available() const override { return can_start_; }
  /// Errc::cancelled if it ends with another status than 0, Errc::limit if it prints too much, Errc::usage,
  /// with the line for the user, if it cannot be started.
  [[nodiscard]] relay::Task<Result<SecretBytes>> ask(std::string text, bool echo) override;
  [[nodiscard]] relay::Task<bool> confirm(std::string text) override;

 private:
  [[nodiscard]] relay::Task<Result<SecretBytes>> run(std::string text, bool confirms);

  const std::string program_;
  bool can_start_ = true;
};

}  // namespace culvert::cli
