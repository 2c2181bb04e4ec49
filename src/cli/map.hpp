// SPDX-License-Identifier: Apache-2.0
// `culvert map` and `culvert proxy`: forwards without a tunnel.
#pragma once

#include <span>
#include <string_view>

#include "base/result.hpp"
#include "cli/environment.hpp"
#include "cli/subcommand.hpp"

namespace culvert::cli {

/// `arguments` without "map"; the plan has one DirectPlan. The error is the line for the user; how the log is
/// to be is in `line` even then, unless it is the options themselves that nobody could make out.
[[nodiscard]] Result<void> read_map_line(std::span<const std::string_view> arguments,
                                         const Environment& environment, SubcommandLine& line);
/// The same without "proxy".
[[nodiscard]] Result<void> read_proxy_line(std::span<const std::string_view> arguments,
                                           const Environment& environment, SubcommandLine& line);

}  // namespace culvert::cli
