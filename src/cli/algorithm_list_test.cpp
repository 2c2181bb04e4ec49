// SPDX-License-Identifier: Apache-2.0
#include "cli/algorithm_list.hpp"

#include <array>

#include <gtest/gtest.h>

namespace culvert::cli {
namespace {

constexpr std::array<std::string_view, 4> kOurs = {"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com",
                                                   "aes256-gcm@openssh.com", "aes256-ctr"};

std::string read(std::string_view text) {
  const auto names = read_algorithm_list(text, kOurs, "cipher");
  if (!names) return "! " + names.error().message;
  std::string out;
  for (const std::string& name : *names) out += name.substr(0, name.find('@')) + ' ';
  return out;
}

TEST(AlgorithmList, PrefixesAndPatterns) {
  EXPECT_EQ(read("aes256-ctr"), "aes256-ctr ");
  EXPECT_EQ(read("aes256-ctr,aes128-gcm@openssh.com"), "aes256-ctr aes128-gcm ");
  EXPECT_EQ(read("aes256-*"), "aes256-gcm aes256-ctr ");
  EXPECT_EQ(read("aes256-ctr,*"), "aes256-ctr aes128-gcm chacha20-poly1305 aes256-gcm ");
  EXPECT_EQ(read("+aes256-ctr"), "aes128-gcm chacha20-poly1305 aes256-gcm aes256-ctr ");
  EXPECT_EQ(read("^aes256-ctr,aes256-gcm@openssh.com"),
            "aes256-ctr aes256-gcm aes128-gcm chacha20-poly1305 ");
  EXPECT_EQ(read("-aes128-gcm@openssh.com"), "chacha20-poly1305 aes256-gcm aes256-ctr ");
  EXPECT_EQ(read("-aes*"), "chacha20-poly1305 ");
  EXPECT_EQ(read("-nonsense"), "aes128-gcm chacha20-poly1305 aes256-gcm aes256-ctr ");
}

TEST(AlgorithmList, NamesThatOnlyOpenSshHasArePassedOver) {
  EXPECT_EQ(read("aes256-cbc,3des-cbc,aes256-ctr"), "aes256-ctr ");
  EXPECT_EQ(read("+3des-cbc"), "aes128-gcm chacha20-poly1305 aes256-gcm aes256-ctr ");
}

TEST(AlgorithmList, WrongNamesAreRefused) {
  EXPECT_EQ(read("aes128-gmc@openssh.com"),
            "! unknown cipher \"aes128-gmc@openssh.com\" (culvert -Q cipher lists them)");
  EXPECT_EQ(read("aes256-ctr,,"), "! unknown cipher \"\" (culvert -Q cipher lists them)");
  EXPECT_EQ(read(""), "! unknown cipher \"\" (culvert -Q cipher lists them)");
  EXPECT_EQ(read("+foo"), "! unknown cipher \"foo\" (culvert -Q cipher lists them)");
  EXPECT_EQ(read("3des-cbc"),
            "! \"3des-cbc\" leaves no cipher that culvert has (culvert -Q cipher lists them)");
  EXPECT_EQ(read("-*"), "! \"-*\" leaves no cipher that culvert has (culvert -Q cipher lists them)");
  EXPECT_EQ(read("foo*"), "! \"foo*\" leaves no cipher that culvert has (culvert -Q cipher lists them)");
}

TEST(AlgorithmList, Patterns) {
  EXPECT_TRUE(matches_pattern("", ""));
  EXPECT_TRUE(matches_pattern("", "*"));
  EXPECT_FALSE(matches_pattern("", "?"));
  EXPECT_TRUE(matches_pattern("abc", "a?c"));
  EXPECT_TRUE(matches_pattern("abcbc", "a*bc"));
  EXPECT_FALSE(matches_pattern("abcb", "a*bc"));
  EXPECT_FALSE(matches_pattern("abc", "ab"));
  const std::string many_stars = [] {
    std::string out;
    for (int i = 0; i < 2000; ++i) out += "*a";
    return out;
  }();
  EXPECT_FALSE(matches_pattern(std::string(1999, 'a'), many_stars));
  EXPECT_FALSE(matches_pattern(std::string(4000, 'a'), many_stars + "b"));  // ends in time
}

}  // namespace
}  // namespace culvert::cli
