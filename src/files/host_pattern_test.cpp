// SPDX-License-Identifier: Apache-2.0
#include "files/host_pattern.hpp"

#include <gtest/gtest.h>

#include <string>

namespace culvert::files {
namespace {

TEST(Pattern, Matches) {
  for (const auto& [text, pattern] : {std::pair{"", ""},
                                      {"", "*"},
                                      {"", "***"},
                                      {"a", "a"},
                                      {"a", "A"},
                                      {"a", "?"},
                                      {"abc", "*"},
                                      {"abc", "a*"},
                                      {"abc", "*c"},
                                      {"abc", "a*c"},
                                      {"abc", "a?c"},
                                      {"abcbc", "a*bc"},
                                      {"axbxc", "a*?c"},
                                      {"*", "*"},
                                      {"a.b.c", "*.*.*"}}) {
    EXPECT_TRUE(matches_pattern(text, pattern)) << text << " " << pattern;
  }
}

TEST(Pattern, DoesNotMatch) {
  for (const auto& [text, pattern] : {std::pair{"a", ""},
                                      {"", "a"},
                                      {"", "?"},
                                      {"a", "b"},
                                      {"ab", "a"},
                                      {"ab", "?"},
                                      {"abc", "a*d"},
                                      {"abc", "*b"},
                                      {"ac", "a?c"},
                                      {"abcd", "a*bd"}}) {
    EXPECT_FALSE(matches_pattern(text, pattern)) << text << " " << pattern;
  }
}

TEST(Pattern, ManyStarsAreNoTrouble) {
  const std::string text(1000, 'a');
  std::string pattern;
  for (int i = 0; i < 500; ++i) pattern += "*a";
  EXPECT_TRUE(matches_pattern(text, pattern));
  EXPECT_FALSE(matches_pattern(text, pattern + "b"));
}

TEST(PatternList, NegationWinsWhereverItStands) {
  EXPECT_TRUE(matches_pattern_list("a.b", "x,*.b"));
  EXPECT_FALSE(matches_pattern_list("a.b", "*.b,!a.*"));
  EXPECT_FALSE(matches_pattern_list("a.b", "!a.*,*.b"));
  EXPECT_FALSE(matches_pattern_list("a.b", "!c")) << "a list of negations alone matches nothing";
  EXPECT_FALSE(matches_pattern_list("a.b", ""));
  EXPECT_FALSE(matches_pattern_list("a.b", ",,"));
  EXPECT_TRUE(matches_pattern_list("a.b", ",a.b,"));
}

}  // namespace
}  // namespace culvert::files
