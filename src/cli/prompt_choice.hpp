// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "cli/askpass_prompter.hpp"
#include "cli/terminal_prompter.hpp"

namespace culvert::cli {

/// What the environment says of askpass programs (ssh(1)).
struct AskpassEnvironment {
  enum class Require : std::uint8_t { unset, never, prefer, force };

  std::string program = "/usr/bin/ssh-askpass";  ///< SSH_ASKPASS; empty: there shall be none
  Require require = Require::unset;  ///< SSH_ASKPASS_REQUIRE; what it does not know counts as unset
  bool has_display = false;          ///< DISPLAY or WAYLAND_DISPLAY
};

/// Of this process.
[[nodiscard]] AskpassEnvironment read_askpass_environment();

enum class AskWhere : std::uint8_t { nowhere, on_terminal, by_askpass };

/// Whether there is a program to ask by, and a display for its window; `force` needs none, `never` has none.
[[nodiscard]] bool may_run_program(const AskpassEnvironment& environment);

/// The terminal, if there is one; without one a program, if that may run.
/// `prefer` and `force` put the program first.
[[nodiscard]] AskWhere choose(const AskpassEnvironment& environment, bool has_terminal);

/// Asks where choose() says, which it looks at for each question: terminals go away. Confirmations are for
/// the program alone.
class ChoosingPrompter final : public tunnel::Prompter {
 public:
  /// With `may_ask` false nobody is ever asked.
  ChoosingPrompter(bool may_ask, AskpassEnvironment environment);

  [[nodiscard]] bool available() const override;
  [[nodiscard]] relay::Task<Result<SecretBytes>> ask(std::string text, bool echo) override;
  [[nodiscard]] relay::Task<bool> confirm(std::string text) override;

 private:
  [[nodiscard]] tunnel::Prompter& chosen();

  const bool may_ask_;
  const AskpassEnvironment environment_;
  TerminalPrompter terminal_;
  AskpassPrompter askpass_;
};

}  // namespace culvert::cli
