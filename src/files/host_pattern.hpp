// SPDX-License-Identifier: Apache-2.0
// Patterns as ssh_config(5), "PATTERNS", has them.
#pragma once

#include <string_view>

namespace culvert::files {

/// '*' stands for any text, '?' for any one character. Letters of `pattern` match without regard to case;
/// `text` must be in lower case already.
[[nodiscard]] bool matches_pattern(std::string_view text, std::string_view pattern);

/// Patterns separated by commas: one of them matches, and none that is negated by a leading '!' does.
[[nodiscard]] bool matches_pattern_list(std::string_view text, std::string_view patterns);

}  // namespace culvert::files
