// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace culvert::cli {

/// --help: made from letters(), at most 24 lines of 80 columns.
[[nodiscard]] std::string help_text();

/// -V: one line.
[[nodiscard]] std::string version_text();

/// -Q: one name per line. "help" lists what may be asked; keywords (Ciphers, ...) may be asked as well.
[[nodiscard]] Result<std::string> query_text(std::string_view what);

}  // namespace culvert::cli
