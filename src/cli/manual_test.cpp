// SPDX-License-Identifier: Apache-2.0
// docs/culvert.1 says of each letter and each keyword what the tables say. It is not read by eye alone: the
// lists are found by their headings and the mdoc macros in them.

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <gtest/gtest.h>

#include "cli/keywords.hpp"
#include "cli/options.hpp"
#include "cli/values.hpp"

namespace culvert::cli {
namespace {

using Names = std::set<std::string, std::less<>>;

const std::string& page() {
  static const std::string text = [] {
    std::ifstream file(CULVERT_SOURCE_DIR "/docs/culvert.1");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  return text;
}

// The lines from a heading to the next one.
std::vector<std::string_view> section(std::string_view heading) {
  std::vector<std::string_view> lines;
  bool inside = false;
  for (const std::string_view line : split(page(), '\n')) {
    if (line.starts_with(".Sh ") || line.starts_with(".Ss ")) {
      inside = line.substr(4) == heading;
    } else if (inside) {
      lines.push_back(line);
    }
  }
  EXPECT_FALSE(lines.empty()) << "the page has no " << heading;
  return lines;
}

// ".Fl A ," is A, ".It Fl h , Fl -help" is h and -help, ".Cm Port ." is Port: what stands behind `macro`
// where the line begins with `start`.
Names named(std::string_view heading, std::string_view start, std::string_view macro) {
  Names names;
  for (const std::string_view line : section(heading)) {
    if (!line.starts_with(start)) continue;
    const auto words = split(line.substr(1), ' ');
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
      if (words[i] == macro) names.emplace(words[i + 1]);
    }
  }
  return names;
}

Names letters_that(Effect effect) {
  Names names;
  for (const Letter& row : letters()) {
    if (row.effect == effect) names.emplace(1, row.letter);
  }
  return names;
}

Names keywords_that(Effect effect) {
  Names names;
  for (const Keyword& row : keywords()) {
    if (row.effect == effect) names.emplace(row.name);
  }
  return names;
}

// One line for the fewest words: what to move in the page.
std::string difference(const Names& page_names, const Names& table) {
  std::string text;
  for (const std::string& name : table) {
    if (!page_names.contains(name)) text += fmt::format(" missing: {}", name);
  }
  for (const std::string& name : page_names) {
    if (!table.contains(name)) text += fmt::format(" not so in the table: {}", name);
  }
  return text;
}

TEST(Manual, HasEachOptionInTheListThatFits) {
  Names works = letters_that(Effect::works);
  for (const LongOption& row : long_options()) works.insert(fmt::format("-{}", row.name));
  EXPECT_EQ(difference(named("OPTIONS", ".It Fl", "Fl"), works), "");
  EXPECT_EQ(difference(named("Options that change nothing", ".Fl", "Fl"), letters_that(Effect::nothing)), "");
  EXPECT_EQ(difference(named("Options that are refused", ".Fl", "Fl"), letters_that(Effect::refused)), "");
}

TEST(Manual, HasEachKeywordInTheListThatFits) {
  EXPECT_EQ(difference(named("Keywords that work", ".Cm", "Cm"), keywords_that(Effect::works)), "");
  EXPECT_EQ(difference(named("Keywords that change nothing", ".Cm", "Cm"), keywords_that(Effect::nothing)),
            "");
  EXPECT_EQ(difference(named("Keywords that are refused", ".Cm", "Cm"), keywords_that(Effect::refused)), "");
}

TEST(Manual, SaysWhichOptionsTakeAValue) {
  for (const Letter& row : letters()) {
    if (row.effect != Effect::works) continue;
    bool with_value = false;
    for (const std::string_view line : section("OPTIONS")) {
      const auto words = split(line, ' ');
      if (words.size() < 4 || words[0] != ".It" || words[1] != "Fl" || words[2] != std::string(1, row.letter))
        continue;
      with_value = words[3] == "Ar" || words[3] == "Cm" || words[3] == "Xo";
    }
    EXPECT_EQ(with_value, !row.value.empty()) << row.letter;
  }
}

}  // namespace
}  // namespace culvert::cli
