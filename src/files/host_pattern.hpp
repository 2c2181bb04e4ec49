// SPDX-License-Identifier: Apache-2.0
// Patterns as ssh_config(5), "PATTERNS", has them.
#pragma once

#include <string_view>

namespace culvert::files {

enum class LetterCase : bool {
  ignored,  ///< letters of the pattern match in either case; the text must be in lower case already
  exact,
};

/// '*' stands for any text, '?' for any one character.
[[nodiscard]] bool matches_pattern(std::string_view text, std::string_view pattern,
                                   LetterCase letter_case = LetterCase::ignored);

/// Patterns separated by commas: one of them matches, and none that is negated by a leading '!' does.
[[nodiscard]] bool matches_pattern_list(std::string_view text, std::string_view patterns,
                                        LetterCase letter_case = LetterCase::ignored);

}  // namespace culvert::files
