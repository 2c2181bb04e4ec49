// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "base/result.hpp"
#include "cli/environment.hpp"
#include "cli/subcommand.hpp"

namespace culvert::cli {

/// `arguments` without "open": the plan has a GatewayPlan, and a DirectPlan if --to needs one; or the line is
/// an answer (--list, --close). Otherwise as read_map_line().
[[nodiscard]] Result<void> read_open_line(std::span<const std::string_view> arguments,
                                          const Environment& environment, SubcommandLine& line);

}  // namespace culvert::cli
