// SPDX-License-Identifier: Apache-2.0
// The keywords of ssh_config(5), each a row that says what culvert does with it. -o reads them;
// docs/options.md explains them, docs/culvert.1 lists them, and tests compare them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "cli/settings.hpp"

namespace culvert::cli {

using Words = std::span<const std::string>;

enum class Effect : std::uint8_t {
  works,    ///< `apply` does it
  nothing,  ///< accepted: about shells, terminals and the like, which culvert does not have
  refused,  ///< would matter, and culvert does not do it: `text` says why; the values in `harmless` are
            ///< accepted
};

struct Keyword {
  std::string_view name;  ///< as ssh_config(5) spells it; compared without regard to case
  Effect effect = Effect::nothing;
  Result<void> (*apply)(Settings&, Words) = nullptr;
  std::string_view harmless = {};  ///< separated by commas
  std::string_view text = {};
  std::size_t max_words = 1;
  bool is_raw = false;  ///< the rest of the line is its one word, as it is
};

[[nodiscard]] std::span<const Keyword> keywords();

/// What a line "name words..." does. `name` must be in the table.
[[nodiscard]] Result<void> apply_keyword(Settings& settings, std::string_view name, Words words);

/// "Keyword=value", "Keyword value", with quotes and several words as in ssh_config(5). The error names the
/// keyword.
[[nodiscard]] Result<void> apply_keyword_line(Settings& settings, std::string_view line);

}  // namespace culvert::cli
