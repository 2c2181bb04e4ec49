// SPDX-License-Identifier: Apache-2.0
#include "proto/socks/accounts.hpp"

#include <gtest/gtest.h>

namespace culvert::socks {
namespace {

TEST(SocksAccounts, OneALine) {
  const auto accounts = Accounts::parse("# who may\n\nann:secret\r\nbob:with: colon and # sign \n#no:body");
  ASSERT_TRUE(accounts) << accounts.error().message;
  EXPECT_TRUE(accounts->accept("ann", "secret"));
  EXPECT_TRUE(accounts->accept("bob", "with: colon and # sign "));
  for (const auto& [user, password] : {std::pair<std::string_view, std::string_view>{"ann", "Secret"},
                                       {"ann", "secre"},
                                       {"ann", "secret\r"},
                                       {"ann", ""},
                                       {"", ""},
                                       {"", "secret"},
                                       {"bob", "secret"},
                                       {"#no", "body"},
                                       {"ann:", "ecret"}})
    EXPECT_FALSE(accounts->accept(user, password)) << user;
}

TEST(SocksAccounts, LengthsOfRfc1929) {
  const std::string longest(255, 'x');
  const auto accounts = Accounts::parse(longest + ":" + longest + "\nu:p\n");
  ASSERT_TRUE(accounts);
  EXPECT_TRUE(accounts->accept(longest, longest));
  EXPECT_TRUE(accounts->accept("u", "p"));
  EXPECT_FALSE(accounts->accept(longest.substr(1), longest));
}

TEST(SocksAccounts, WhatIsWrongIsNamedAndNotQuoted) {
  const std::string longer(256, 'x');
  const std::pair<std::string, std::string_view> rows[] = {
      {"", "no user is named"},
      {"# nobody\n\n", "no user is named"},
      {"a:b\nsecret\n", "line 2: not user:password"},
      {":secret", "line 1: the user or the password is empty"},
      {"user:", "line 1: the user or the password is empty"},
      {longer + ":a", "line 1: the user or the password has more than 255 bytes"},
      {"a:" + longer, "line 1: the user or the password has more than 255 bytes"},
  };
  for (const auto& [text, message] : rows) {
    const auto accounts = Accounts::parse(text);
    ASSERT_FALSE(accounts) << text;
    EXPECT_EQ(accounts.error().message, message);
  }
}

}  // namespace
}  // namespace culvert::socks
