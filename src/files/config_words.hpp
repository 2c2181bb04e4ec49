// SPDX-License-Identifier: Apache-2.0
// Lines of ssh_config(5), taken apart as OpenSSH takes them apart.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace culvert::files {

/// The next word of `rest`, which loses it and the white space behind it. Words end at white space and at one
/// '='; what double quotes enclose ends at the closing one. Empty at the end of `rest`, and in front of
/// leading white space. None: a quote is not closed.
[[nodiscard]] std::optional<std::string> take_word(std::string_view& rest);

/// "keyword value...", "keyword = value...", "\"keyword\" value...".
struct ConfigWords {
  std::string keyword;    ///< in lower case; empty: the line is blank or a comment
  std::string_view rest;  ///< into the line: what is behind the keyword, without white space at both ends
};

/// Errc::malformed: a quote is not closed.
[[nodiscard]] Result<ConfigWords> split_keyword(std::string_view line);

/// The words of a value: separated by blanks; single and double quotes keep blanks, a backslash keeps a
/// quote, a backslash or (outside quotes) a blank; '#' at the start of a word ends the line, but not that of
/// a command. Errc::malformed: a quote is not closed.
[[nodiscard]] Result<std::vector<std::string>> split_words(std::string_view rest, bool is_command = false);

}  // namespace culvert::files
