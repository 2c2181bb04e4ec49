// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/wire/name_list.hpp"

#include <gtest/gtest.h>

namespace culvert::ssh {
namespace {

using Names = std::vector<std::string_view>;

TEST(NameList, SplitsAtCommas) {
  EXPECT_EQ(split_names(""), Names{});
  EXPECT_EQ(split_names("one"), Names{"one"});
  EXPECT_EQ(split_names("one,two,three@example.com"), (Names{"one", "two", "three@example.com"}));
}

TEST(NameList, LeavesEmptyNamesOut) {
  EXPECT_EQ(split_names(","), Names{});
  EXPECT_EQ(split_names(",,,one,,two,"), (Names{"one", "two"}));
}

TEST(NameList, FindsWholeNamesOnly) {
  EXPECT_TRUE(contains_name("aes128-ctr,aes256-ctr", "aes256-ctr"));
  EXPECT_FALSE(contains_name("aes128-ctr,aes256-ctr", "aes"));
  EXPECT_FALSE(contains_name("aes128-ctr,aes256-ctr", "aes128-ctr,aes256-ctr"));
  EXPECT_FALSE(contains_name("aes128-ctr", "AES128-CTR"));
  EXPECT_FALSE(contains_name("", "x"));
  EXPECT_FALSE(contains_name(",", ""));
}

TEST(NameList, FirstCommonFollowsTheWantedOrder) {
  EXPECT_EQ(first_common("a,b,c", "c,b"), "b");
  EXPECT_EQ(first_common("c,b", "a,b,c"), "c");
  EXPECT_EQ(first_common("a", "b"), "");
  EXPECT_EQ(first_common("", "b"), "");
  EXPECT_EQ(first_common(",", ","), "");
}

TEST(NameList, JoinedAndSplitIsTheSame) {
  const std::vector<std::string> names = {"one", "two", "three"};
  EXPECT_EQ(join_names(names), "one,two,three");
  EXPECT_EQ(split_names(join_names(names)), Names(names.begin(), names.end()));
  EXPECT_EQ(join_names({}), "");
}

}  // namespace
}  // namespace culvert::ssh
