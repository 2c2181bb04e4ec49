// SPDX-License-Identifier: Apache-2.0
#include "files/host_pattern.hpp"

#include <algorithm>
#include <cstddef>

#include "base/text.hpp"

namespace culvert::files {
bool matches_pattern(std::string_view text, std::string_view pattern, LetterCase letter_case) {
  const auto same = [&](char wanted, char have) {
    return (letter_case == LetterCase::ignored ? lower(wanted) : wanted) == have;
  };
  std::size_t at = 0;
  std::size_t place = 0;
  // Where to go on if what follows the last star does not fit: the star takes one character more. Earlier
  // stars never need to be tried again, so the work is bounded by the product of the lengths.
  std::size_t star = pattern.npos;
  std::size_t star_at = 0;
  while (at < text.size()) {
    if (place < pattern.size() && pattern[place] == '*') {
      star = place++;
      star_at = at;
    } else if (place < pattern.size() && (pattern[place] == '?' || same(pattern[place], text[at]))) {
      ++place;
      ++at;
    } else if (star != pattern.npos) {
      place = star + 1;
      at = ++star_at;
    } else {
      return false;
    }
  }
  return std::ranges::all_of(pattern.substr(place), [](char c) { return c == '*'; });
}

bool matches_pattern_list(std::string_view text, std::string_view patterns, LetterCase letter_case) {
  bool matches = false;
  while (!patterns.empty()) {
    std::string_view pattern = patterns.substr(0, patterns.find(','));
    patterns.remove_prefix(std::min(pattern.size() + 1, patterns.size()));
    const bool negated = pattern.starts_with('!');
    if (negated) pattern.remove_prefix(1);
    if (!matches_pattern(text, pattern, letter_case)) continue;
    if (negated) return false;
    matches = true;
  }
  return matches;
}

}  // namespace culvert::files
