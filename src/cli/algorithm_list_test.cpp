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

TEST(AlgorithmList, NamesThatWerePassedOverCanBeTold) {
  const std::vector<std::string> ours(kOurs.begin(), kOurs.end());
  EXPECT_EQ(left_out_of_list("aes256-cbc,3des-cbc,aes256-ctr,3des-cbc", ours), "aes256-cbc,3des-cbc");
  EXPECT_EQ(left_out_of_list("+3des-cbc", ours), "3des-cbc");
  EXPECT_EQ(left_out_of_list("^3des-cbc", ours), "3des-cbc");
  EXPECT_EQ(left_out_of_list("-3des-cbc", ours), "");
  EXPECT_EQ(left_out_of_list("aes256-ctr,aes*", ours), "");
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

}  // namespace
}  // namespace culvert::cli
