// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/tunnel/prompter.hpp"

namespace culvert::cli {

/// Asks on /dev/tty, whatever the standard streams are. While it waits, the program goes on: signals and
/// deadlines are heard. What is typed without echo is shown nowhere, and the terminal gets its mode back
/// however the question ends.
class TerminalPrompter final : public tunnel::Prompter {
 public:
  explicit TerminalPrompter(bool may_ask) : may_ask_(may_ask) {}

  [[nodiscard]] bool available() const override;
  [[nodiscard]] relay::Task<Result<SecretBytes>> ask(std::string text, bool echo) override;
  [[nodiscard]] relay::Task<bool> confirm(std::string) override { co_return false; }

 private:
  const bool may_ask_;
};

/// Gives the terminal its mode back if a question is open. For a signal handler that leaves at once:
/// async-signal-safe.
void restore_terminal();

}  // namespace culvert::cli
