// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"
#include "cli/settings.hpp"
#include "daemon/plan.hpp"

namespace culvert::cli {

/// What the plan depends on besides the settings.
struct Environment {
  std::string user = {};  ///< who runs the program; empty: the user id has no name
  std::string uid = {};
  std::string home = {};          ///< $HOME, else of the user database
  std::string host_name = {};     ///< of this machine
  std::string agent_socket = {};  ///< SSH_AUTH_SOCK; empty: none
};

/// Of this process.
[[nodiscard]] Environment read_environment();

/// Fills the gaps with ssh's defaults and expands '~' and '%' tokens. The error is the line for the user.
[[nodiscard]] Result<daemon::Plan> build_plan(const Settings& settings, const Environment& environment);

}  // namespace culvert::cli
