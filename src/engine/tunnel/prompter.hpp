// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "engine/relay/stream.hpp"

namespace culvert::tunnel {

/// Asks the person who runs the program. The command line does so on /dev/tty or by a program of the desktop;
/// tests have one with prepared answers.
class Prompter {
 public:
  virtual ~Prompter() = default;
  /// False where nobody can be asked (no terminal, BatchMode).
  [[nodiscard]] virtual bool available() const = 0;
  /// Shows `text` (made printable already) and reads a line. Errc::cancelled if the user gave up (Ctrl-C,
  /// Ctrl-D), Errc::not_found if nobody can be asked, Errc::usage if what should ask is not to be had.
  [[nodiscard]] virtual relay::Task<Result<SecretBytes>> ask(std::string text, bool echo) = 0;
  /// A question that can be left out: asked, as by ssh, where that takes nobody away from the terminal, which
  /// is to say by a program. Whatever is not a yes is a no, and so it is where there is none.
  [[nodiscard]] virtual relay::Task<bool> confirm(std::string text) = 0;
};

}  // namespace culvert::tunnel
