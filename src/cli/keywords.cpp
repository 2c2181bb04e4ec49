// SPDX-License-Identifier: Apache-2.0
#include "cli/keywords.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "cli/values.hpp"
#include "files/config_words.hpp"
#include "files/host_pattern.hpp"

namespace culvert::cli {
namespace {

enum class Origin : std::uint8_t { command_line, file };

const Keyword* find_keyword(std::string_view name) {
  const auto rows = keywords();
  const auto row = std::ranges::find_if(
      rows, [&](const Keyword& keyword) { return equal_ignoring_case(keyword.name, name); });
  if (row == rows.end()) return nullptr;
  return row->same_as.empty() ? &*row : find_keyword(row->same_as);
}

// "yes" is "true" for some keywords, and the other way round for others.
std::string respelled(std::string_view spelling, const std::string& word) {
  for (const std::string_view pair : split(spelling, ',')) {
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos && equal_ignoring_case(pair.substr(0, equals), word))
      return std::string(pair.substr(equals + 1));
  }
  return word;
}

void keep(const Keyword& row, Settings& settings, Words words) {
  if (row.kept == Kept::not_at_all) return;
  const auto [place, is_new] = settings.kept.try_emplace(lower(row.name));
  std::vector<std::string>& lines = place->second;
  if (!is_new && row.kept != Kept::more_lines) return;
  if (row.kept == Kept::lines || row.kept == Kept::more_lines) {
    lines.insert(lines.end(), words.begin(), words.end());
    return;
  }
  std::string line;
  for (const std::string& word : words) {
    std::string text = respelled(row.spelling, word);
    const auto time = parse_time(text);
    if (row.kept == Kept::time && time)
      text = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(*time).count());
    line += (line.empty() ? "" : " ") + text;
  }
  lines.push_back(std::move(line));
}

bool is_harmless(const Keyword& row, std::string_view word) {
  return std::ranges::any_of(split(row.harmless, ','),
                             [&](std::string_view value) { return equal_ignoring_case(value, word); });
}

Result<void> apply_row(const Keyword& row, Settings& settings, Words words, Origin origin) {
  if (words.empty() || words[0].empty()) return fail(Errc::usage, "no value given");
  if (row.effect == Effect::works) {
    if (words.size() > row.max_words) {
      return fail(Errc::usage, fmt::format("one word too many: {}", in_quotes(words[row.max_words])));
    }
    return row.apply(settings, words);
  }
  if (row.effect == Effect::refused && origin == Origin::command_line && !is_harmless(row, words[0]))
    return fail(Errc::usage, std::string(row.text));
  keep(row, settings, words);
  return {};
}

Result<void> apply_line(Settings& settings, std::string_view keyword, std::string_view rest,
                        const std::optional<std::string>& ignored, Origin origin) {
  const Keyword* row = find_keyword(keyword);
  if (row == nullptr) {
    if (ignored && files::matches_pattern_list(keyword, *ignored)) return {};
    return fail(Errc::not_found, fmt::format("Bad configuration option: {}", printable(keyword, 200)));
  }
  const auto apply = [&]() -> Result<void> {
    const std::vector<std::string> words =
        row->is_raw ? std::vector{std::string(rest)} : TRY(files::split_words(rest));
    return apply_row(*row, settings, words, origin);
  };
  auto done = apply();
  if (!done) return fail(done.error().code, fmt::format("{}: {}", row->name, done.error().message));
  return done;
}

}  // namespace

Result<void> apply_keyword(Settings& settings, std::string_view name, Words words) {
  const Keyword* row = find_keyword(name);
  CULVERT_ASSERT(row != nullptr);
  return apply_row(*row, settings, words, Origin::command_line);
}

Result<void> apply_keyword_line(Settings& settings, std::string_view line) {
  const auto words = files::split_keyword(line);
  if (!words || words->keyword.empty())
    return fail(Errc::usage, fmt::format("{} is not Keyword=value", in_quotes(line)));
  auto done =
      apply_line(settings, words->keyword, words->rest, settings.ignored_keywords, Origin::command_line);
  if (!done) return fail(Errc::usage, std::move(done.error().message));
  return done;
}

Result<void> apply_config_line(Settings& settings, std::string_view keyword, std::string_view rest,
                               const std::optional<std::string>& ignored) {
  return apply_line(settings, keyword, rest, ignored, Origin::file);
}

}  // namespace culvert::cli
