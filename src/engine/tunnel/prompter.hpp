// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "engine/relay/stream.hpp"

namespace culvert::tunnel {

/// Asks the person at the terminal. The command line has one on /dev/tty; tests have one with prepared
/// answers.
class Prompter {
 public:
  virtual ~Prompter() = default;
  /// False where nobody can be asked (no terminal, BatchMode).
  [[nodiscard]] virtual bool available() const = 0;
  /// Shows `text` (made printable already) and reads a line. Errc::cancelled if the user gave up (Ctrl-C,
  /// Ctrl-D), Errc::not_found if nobody can be asked.
  [[nodiscard]] virtual relay::Task<Result<SecretBytes>> ask(std::string text, bool echo) = 0;
};

}  // namespace culvert::tunnel
