// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"
#include "cli/environment.hpp"
#include "cli/settings.hpp"

namespace culvert::cli {

/// -G: what resolve_settings() has made of options and files, in the form of `ssh -G`: "keyword value" lines,
/// keywords in lower case, of which some come several times. Passwords of ProxyVia are left out.
[[nodiscard]] Result<std::string> show_config(Settings settings, const Environment& environment);

}  // namespace culvert::cli
