// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/environment.hpp"
#include "cli/expand.hpp"
#include "cli/settings.hpp"

namespace culvert::cli {

/// The tokens of ssh_config(5), "TOKENS", that are about a connection: %C %d %h %i %j %k %L %l %n %p %r %u.
/// `host`: what %h stands for, as far as HostName is known.
[[nodiscard]] std::vector<Token> host_tokens(const Settings& settings, const Environment& environment,
                                             const std::string& host);

}  // namespace culvert::cli
