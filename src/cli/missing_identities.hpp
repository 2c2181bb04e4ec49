// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/options.hpp"

namespace culvert::cli {

/// As in ssh, a file of -i that is not there counts as not given, so that the default keys are tried. Returns
/// a line for the user for each. Those of the keyword stay, and names with tokens, which cannot be expanded
/// yet. `home` is what "~" stands for.
[[nodiscard]] std::vector<std::string> drop_missing_identities(CommandLine& line, std::string_view home);

}  // namespace culvert::cli
