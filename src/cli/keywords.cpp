// SPDX-License-Identifier: Apache-2.0
#include "cli/keywords.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "cli/algorithm_list.hpp"
#include "cli/values.hpp"

namespace culvert::cli {
namespace {

bool is_space(char letter) { return letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n'; }

void skip_spaces(std::string_view& rest) {
  while (!rest.empty() && is_space(rest[0])) rest.remove_prefix(1);
}

// The words of a value: separated by spaces; quotes keep spaces, a backslash keeps a quote, a backslash or
// (outside quotes) a space; '#' at the start of a word ends the line.
Result<std::vector<std::string>> words_of(std::string_view rest) {
  std::vector<std::string> words;
  for (;;) {
    skip_spaces(rest);
    if (rest.empty() || rest[0] == '#') return words;
    std::string word;
    char quote = '\0';
    for (; !rest.empty() && (quote != '\0' || !is_space(rest[0])); rest.remove_prefix(1)) {
      const char letter = rest[0];
      const char next = rest.size() > 1 ? rest[1] : '\0';
      if (letter == '\\' && (next == '"' || next == '\'' || next == '\\' || (quote == '\0' && next == ' '))) {
        word += next;
        rest.remove_prefix(1);
      } else if (quote == '\0' && (letter == '"' || letter == '\'')) {
        quote = letter;
      } else if (letter == quote) {
        quote = '\0';
      } else {
        word += letter;
      }
    }
    if (quote != '\0') return fail(Errc::usage, "a quote is not closed");
    words.push_back(std::move(word));
  }
}

const Keyword* find_keyword(std::string_view name) {
  const auto rows = keywords();
  const auto row = std::ranges::find_if(
      rows, [&](const Keyword& keyword) { return equal_ignoring_case(keyword.name, name); });
  return row == rows.end() ? nullptr : &*row;
}

Result<void> apply_row(const Keyword& row, Settings& settings, Words words) {
  if (words.empty() || words[0].empty()) return fail(Errc::usage, "no value given");
  if (row.effect == Effect::nothing) return {};
  if (words.size() > row.max_words) {
    return fail(Errc::usage, fmt::format("one word too many: {}", quoted(words[row.max_words])));
  }
  if (row.effect == Effect::works) return row.apply(settings, words);
  const auto harmless = split(row.harmless, ',');
  if (std::ranges::any_of(harmless, [&](auto value) { return equal_ignoring_case(value, words[0]); }))
    return {};
  return fail(Errc::usage, std::string(row.text));
}

}  // namespace

Result<void> apply_keyword(Settings& settings, std::string_view name, Words words) {
  const Keyword* row = find_keyword(name);
  CULVERT_ASSERT(row != nullptr);
  return apply_row(*row, settings, words);
}

Result<void> apply_keyword_line(Settings& settings, std::string_view line) {
  std::string_view rest = line;
  skip_spaces(rest);
  const auto name_end =
      std::ranges::find_if(rest, [](char letter) { return is_space(letter) || letter == '='; });
  const std::string_view name = rest.substr(0, static_cast<std::size_t>(name_end - rest.begin()));
  if (name.empty()) return fail(Errc::usage, fmt::format("{} is not Keyword=value", quoted(line)));
  rest.remove_prefix(name.size());
  skip_spaces(rest);
  if (rest.starts_with('=')) rest.remove_prefix(1);

  const Keyword* row = find_keyword(name);
  if (row == nullptr) {
    const std::string word = lower(name);
    const auto& patterns = settings.ignored_keywords;
    if (std::ranges::any_of(patterns, [&](auto& pattern) { return matches_pattern(word, lower(pattern)); }))
      return {};
    return fail(Errc::usage, fmt::format("Bad configuration option: {}", printable(name, 200)));
  }
  Result<void> done;
  if (row->is_raw) {
    skip_spaces(rest);
    const std::vector<std::string> whole = {std::string(rest)};
    done = apply_row(*row, settings, whole);
  } else if (const auto words = words_of(rest); words) {
    done = apply_row(*row, settings, *words);
  } else {
    done = std::unexpected(words.error());
  }
  if (!done) return fail(Errc::usage, fmt::format("{}: {}", row->name, done.error().message));
  return {};
}

}  // namespace culvert::cli
