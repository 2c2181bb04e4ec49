// SPDX-License-Identifier: Apache-2.0
// The keywords of ssh_config(5), each a row that says what culvert does with it. -o and the files read them,
// -G writes them; docs/options.md explains them, docs/culvert.1 lists them, and tests compare them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "cli/settings.hpp"

namespace culvert::cli {

using Words = std::span<const std::string>;

enum class Effect : std::uint8_t {
  works,    ///< `apply` does it
  nothing,  ///< accepted: about shells, terminals and the like, which culvert does not have
  refused,  ///< would matter, and culvert does not do it: `text` says why. On the command line only the
            ///< values in `harmless` are accepted; files are made for ssh too, and theirs are passed over
};

/// How the words of a keyword that is only kept are written.
enum class Kept : std::uint8_t {
  not_at_all,  ///< ssh knows it no longer
  words,       ///< in one line
  time,        ///< in seconds
  lines,       ///< each in a line of its own
  more_lines,  ///< the same, and further values are added
};

struct Keyword {
  std::string_view name;  ///< as ssh_config(5) spells it; compared without regard to case
  Effect effect = Effect::nothing;
  Result<void> (*apply)(Settings&, Words) = nullptr;
  /// What was applied, as -G writes it, a line each. None: it shares its value with another keyword.
  std::vector<std::string> (*show)(const Settings&) = nullptr;
  std::string_view unset = {};     ///< what -G writes where nothing was said; empty: nothing
  std::string_view harmless = {};  ///< separated by commas
  std::string_view text = {};
  std::size_t max_words = 1;
  bool is_raw = false;  ///< the rest of the line is its one word, as it is
  Kept kept = Kept::words;
  std::string_view spelling = {};  ///< of kept words: "no=false,yes=true"
  std::string_view same_as = {};   ///< this is another name of that keyword, whose row says all else
};

[[nodiscard]] std::span<const Keyword> keywords();

/// What a line "name words..." of the command line does. `name` must be in the table.
[[nodiscard]] Result<void> apply_keyword(Settings& settings, std::string_view name, Words words);

/// -o "Keyword=value", "Keyword value", with quotes and several words as in ssh_config(5). The error names
/// the keyword.
[[nodiscard]] Result<void> apply_keyword_line(Settings& settings, std::string_view line);

/// A line of a file, taken apart by the reader. `ignored`: what IgnoreUnknown has said so far.
/// Errc::not_found: there is no such keyword; Errc::unsupported: right for ssh, but culvert cannot do it.
[[nodiscard]] Result<void> apply_config_line(Settings& settings, std::string_view keyword,
                                             std::string_view rest,
                                             const std::optional<std::string>& ignored);

}  // namespace culvert::cli
