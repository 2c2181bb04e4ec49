// SPDX-License-Identifier: Apache-2.0
// grants_for() and grants_for_all() of access_rules.hpp.
#include <gtest/gtest.h>

#include "crypto/key_fixtures_test.hpp"
#include "crypto/private_key.hpp"
#include "files/access_rules.hpp"
#include "tests/support/grants.hpp"

namespace culvert::files {
namespace {

using test::answer;
using test::ask;
using test::connecting;
using test::key_options;
using test::permitted;
using test::rules_of;
using test::some_key;

TEST(GrantsFor, RulesOfTheKeyReplaceThoseOfTheUser) {
  UserRules user;
  user.name = "alice";
  user.rules.connect = rules_of({"a:1", "!c:*"}, &ForwardRule::parse_connect);
  user.rules.listen = rules_of({"8000"}, &ForwardRule::parse_listen);
  user.rules.limits.max_streams = 5;
  user.keys.push_back({some_key().fingerprint(), {}});
  user.keys[0].rules.connect = rules_of({"b:1", "c:1"}, &ForwardRule::parse_connect);
  user.keys[0].rules.limits.quota = 7;
  user.keys[0].rules.listen_default = std::vector{IpAddress()};

  const Grants grants =
      grants_for(&user, some_key(), key_options(R"(permitopen="d:1",expiry-time="20270101Z")"));
  EXPECT_FALSE(ask(grants, {"a", 1, "192.0.2.1"}));
  EXPECT_TRUE(ask(grants, {"b", 1, "192.0.2.1"}));
  EXPECT_FALSE(ask(grants, {"c", 1, "192.0.2.1"})) << "the user's denials stay";
  EXPECT_TRUE(ask(grants, {"d", 1, "192.0.2.1"}));
  EXPECT_EQ(answer(may_listen(grants, "", 8000)), "0.0.0.0 8000");
  EXPECT_EQ(grants.user_limits.max_streams, 5u);
  EXPECT_EQ(grants.key_limits.quota, 7u);
  EXPECT_EQ(grants.key_limits.until, 1798761601);

  const auto other = *crypto::parse_public_key_line(crypto::kKeyFixtures[1].public_line);
  const Grants of_other = grants_for(&user, other, key_options(""));
  EXPECT_TRUE(ask(of_other, {"a", 1, "192.0.2.1"}));
  EXPECT_FALSE(ask(of_other, {"b", 1, "192.0.2.1"}));
  EXPECT_EQ(answer(may_listen(of_other, "", 8000)), "127.0.0.1 ::1 8000");
  EXPECT_EQ(of_other.key_limits, Limits{});

  const Grants limited = grants_for(&user, other, key_options(R"(permitopen="d:1")"));
  EXPECT_FALSE(ask(limited, {"a", 1, "192.0.2.1"})) << "as for sshd, a permit is a limit";
  EXPECT_TRUE(ask(limited, {"d", 1, "192.0.2.1"}));
  EXPECT_EQ(answer(may_listen(limited, "", 8000)), "127.0.0.1 ::1 8000") << "but only of its kind";

  const Grants restricted = grants_for(&user, other, key_options("restrict"));
  EXPECT_EQ(ask(restricted, {"a", 1, "192.0.2.1"}).reason, "port forwarding is not allowed for this key");
}

TEST(GrantsFor, NothingIsNothing) {
  EXPECT_TRUE(permitted("").are_empty());
  EXPECT_TRUE(permitted(R"(restrict,permitopen="a:1")").are_empty());
  EXPECT_FALSE(permitted(R"(permitopen="a:1")").are_empty());
  EXPECT_FALSE(permitted(R"(permitlisten="1")").are_empty());
  EXPECT_TRUE(connecting({"!a:1"}).are_empty());
}

TEST(GrantsForAll, AreThoseOfSshd) {
  const Grants all = grants_for_all(nullptr, some_key(), key_options(""));
  for (const std::string_view address :
       {"192.0.2.1", "10.1.2.3", "127.0.0.1", "::1", "0.0.0.0", "10.0.0.5", "2001:db8::5"}) {
    EXPECT_TRUE(ask(all, {"a", 80, address})) << address;
  }
  for (const std::string_view address : {"169.254.169.254", "fe80::1", "224.0.0.1", "2002::1"}) {
    EXPECT_FALSE(ask(all, {"a", 80, address})) << address;
  }
  EXPECT_EQ(answer(may_listen(all, "localhost", 80)), "127.0.0.1 ::1 80");
  EXPECT_EQ(answer(may_listen(all, "", 80)), "0.0.0.0 :: 80");
  EXPECT_EQ(answer(may_listen(all, "*", 80)), "0.0.0.0 :: 80");
  EXPECT_FALSE(may_connect_path(all, "/run/x"));
  EXPECT_TRUE(grants_for_all(nullptr, some_key(), key_options("restrict")).are_empty());
  const Grants limited =
      grants_for_all(nullptr, some_key(), key_options(R"(permitopen="a:1",permitlisten="80")"));
  EXPECT_FALSE(ask(limited, {"b", 1, "192.0.2.1"})) << "permitopen limits, as in sshd";
  EXPECT_FALSE(may_listen(limited, "", 81));
}

TEST(GrantsForAll, KeepToWhatTheRulesLimitAndDeny) {
  UserRules user;
  user.name = "alice";
  user.rules.connect = rules_of({"a:1", "!c:*"}, &ForwardRule::parse_connect);
  user.rules.listen = rules_of({"8000", "!22"}, &ForwardRule::parse_listen);
  user.rules.limits.max_streams = 5;
  user.rules.limits.until = 7;
  user.keys.push_back({some_key().fingerprint(), {}});
  user.keys[0].rules.limits.quota = 9;
  const Grants all = grants_for_all(&user, some_key(), key_options(""));
  EXPECT_TRUE(ask(all, {"b", 1, "192.0.2.1"}));
  EXPECT_FALSE(ask(all, {"c", 1, "192.0.2.1"}));
  EXPECT_TRUE(may_listen(all, "localhost", 9000));
  EXPECT_FALSE(may_listen(all, "localhost", 22));
  EXPECT_EQ(all.user_limits, user.rules.limits);
  EXPECT_EQ(all.key_limits.quota, 9u);
}

}  // namespace
}  // namespace culvert::files
