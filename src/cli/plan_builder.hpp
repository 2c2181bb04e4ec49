// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "base/result.hpp"
#include "cli/endpoint_spec.hpp"
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

/// What is known of a jump host besides what was said of it (`hop`): its own configuration.
using HopSettings = std::function<Result<Settings>(const Destination& hop)>;
/// Nothing.
[[nodiscard]] Result<Settings> plain_hop(const Destination& hop);

/// Fills the gaps with ssh's defaults and expands '~' and '%' tokens. The error is the line for the user.
[[nodiscard]] Result<daemon::Plan> build_plan(const Settings& settings, const Environment& environment,
                                              const HopSettings& hops = plain_hop);

}  // namespace culvert::cli
