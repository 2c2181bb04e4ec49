// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/endpoint_spec.hpp"
#include "cli/environment.hpp"
#include "cli/settings.hpp"
#include "daemon/plan.hpp"

namespace culvert::cli {

/// What is known of a jump host besides what was said of it (`hop`): its own configuration.
using HopSettings = std::function<Result<Settings>(const Destination& hop)>;
/// Nothing.
[[nodiscard]] Result<Settings> plain_hop(const Destination& hop);

/// The keys that are tried where nobody names one: ssh's, as it writes them.
[[nodiscard]] std::vector<std::string> default_identity_files();

/// How the server is reached and logged in to, without its jump hosts: what -G shows of it.
[[nodiscard]] Result<tunnel::ServerOptions> build_server(const Settings& settings,
                                                         const Environment& environment);

/// Fills the gaps with ssh's defaults and expands '~', '${VARIABLE}' and '%' tokens. The error is the line
/// for the user.
[[nodiscard]] Result<daemon::Plan> build_plan(const Settings& settings, const Environment& environment,
                                              const HopSettings& hops = plain_hop);

}  // namespace culvert::cli
