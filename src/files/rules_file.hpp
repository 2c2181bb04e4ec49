// SPDX-License-Identifier: Apache-2.0
// The rules file of `culvert serve` (docs/rules.md): TOML in, rules out.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "files/access_rules.hpp"

namespace culvert::files {

inline constexpr std::size_t kMaxRulesFileSize = 1u << 20;  ///< bytes

struct RulesFile {
  std::vector<UserRules> users;

  /// Null: the file does not name this user.
  [[nodiscard]] const UserRules* find(std::string_view user) const;
};

/// The first thing that is wrong refuses the whole file: half of the rules would be other rules.
/// Errc::malformed, Errc::limit, with `file_name` and the line: "rules.toml:7: unknown keyword \"conect\"".
[[nodiscard]] Result<RulesFile> parse_rules_file(std::string_view text, std::string_view file_name);

}  // namespace culvert::files
