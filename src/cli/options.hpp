// SPDX-License-Identifier: Apache-2.0
// The letters of ssh(1), each a row that says what culvert does with it. --help is made from the rows,
// docs/options.md and docs/culvert.1 explain them, and tests compare them.
//
// The command line is read by hand, and not with CLI11: people's fingers know ssh's habits (`-fNL 8080:a:80
// host`,
// `-p2222`, options behind the host, what counts if an option comes twice, a command behind it all). CLI11
// takes neither a cluster that ends in an option with its value attached nor values that begin with '-', and
// its errors are its own.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "cli/keywords.hpp"
#include "cli/settings.hpp"

namespace culvert::cli {

/// What the command line asks for.
enum class Action : std::uint8_t { run, help, version, query };

struct CommandLine {
  Action action = Action::run;
  std::string query;                          ///< of -Q
  std::optional<std::string> config_file;     ///< of -F
  bool shows_configuration = false;           ///< -G: instead of a run
  bool says_more = false;                     ///< -v has come before
  std::vector<std::string> identity_letters;  ///< values of -i, which are in the settings, too
  Settings settings;
};

struct Letter {
  char letter;
  std::string_view value;  ///< its name in --help; empty: the option takes none
  Effect effect;
  std::string_view text;  ///< works: for --help, nothing: what it is about, refused: why
  /// nothing: what -G shows of it, if there is something.
  Result<void> (*apply)(CommandLine&, const std::string& value) = nullptr;
};

[[nodiscard]] std::span<const Letter> letters();

/// "--name", "--name value", "--name=value".
struct LongOption {
  std::string_view name;   ///< without "--"
  std::string_view value;  ///< its name in --help; empty: the option takes none
  std::string_view text;   ///< for --help; empty: a letter there says the same
  Result<void> (*apply)(CommandLine&, const std::string& value);
};

[[nodiscard]] std::span<const LongOption> long_options();

/// `arguments` without the program's name. The error is the line for the user.
[[nodiscard]] Result<CommandLine> read_command_line(std::span<const std::string_view> arguments);

}  // namespace culvert::cli
