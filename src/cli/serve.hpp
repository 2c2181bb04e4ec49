// SPDX-License-Identifier: Apache-2.0
// `culvert serve`: an SSH server that only forwards.
#pragma once

#include <span>
#include <string_view>

#include "base/result.hpp"
#include "cli/environment.hpp"
#include "cli/subcommand.hpp"

namespace culvert::cli {

/// `arguments` without "serve"; the plan has one server. The error is the line for the user; how the log is
/// to be is in `line` even then, unless it is the options themselves that nobody could make out.
[[nodiscard]] Result<void> read_serve_line(std::span<const std::string_view> arguments,
                                           const Environment& environment, SubcommandLine& line);

}  // namespace culvert::cli
