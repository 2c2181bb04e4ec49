// SPDX-License-Identifier: Apache-2.0
// `culvert serve`: an SSH server that only forwards.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/log.hpp"
#include "base/result.hpp"
#include "cli/environment.hpp"
#include "daemon/plan.hpp"

namespace culvert::cli {

struct ServeLine {
  bool wants_help = false;
  std::string help;   ///< if wanted
  daemon::Plan plan;  ///< with one server
  LogLevel log_level = LogLevel::notice;
  LogFormat log_format = LogFormat::text;
  std::string log_file;
};

/// `arguments` without "serve". The error is the line for the user; how the log is to be is in `line` even
/// then, unless it is the options themselves that nobody could make out.
[[nodiscard]] Result<void> read_serve_line(std::span<const std::string_view> arguments,
                                           const Environment& environment, ServeLine& line);

}  // namespace culvert::cli
