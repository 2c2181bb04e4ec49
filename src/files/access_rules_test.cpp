// SPDX-License-Identifier: Apache-2.0
#include "files/access_rules.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/support/grants.hpp"

namespace culvert::files {
namespace {

using test::ask;
using test::connecting;
using test::listening;
using test::Open;
using test::permitted;
using test::RuleTexts;

TEST(MayConnect, ByNameAndByAddress) {
  struct Row {
    RuleTexts rules;
    Open open;
    bool allowed;
  };
  for (const Row& row : {
           Row{{"db.internal:5432"}, {"db.internal", 5432, "10.1.2.3"}, true},
           {{"db.internal:5432"}, {"DB.internal.", 5432, "10.1.2.3"}, true},
           {{"db.internal:5432"}, {"db.internal", 5433, "10.1.2.3"}, false},
           {{"db.internal:5432"}, {"db.internal.evil", 5432, "10.1.2.3"}, false},
           {{"db.internal:5432"}, {"10.1.2.3", 5432, "10.1.2.3"}, false},
           {{"*.example.org:443"}, {"a.b.example.org", 443, "192.0.2.1"}, true},
           {{"*.example.org:443"}, {"example.org", 443, "192.0.2.1"}, false},
           {{"*.example.org:443"}, {"2001:db8::1%1.example.org", 443, "2001:db8::1"}, false},
           {{"*.example.org:443"}, {"::ffff:10.1.2.3%1.example.org", 443, "::ffff:10.1.2.3"}, false},
           {{"10.0.0.0/8:5432"}, {"10.1.2.3", 5432, "10.1.2.3"}, true},
           {{"10.0.0.0/8:5432"}, {"whatever", 5432, "10.1.2.3"}, true},
           {{"10.0.0.0/8:5432"}, {"whatever", 5432, "11.1.2.3"}, false},
           {{"10.0.0.0/8:5432"}, {"::ffff:10.1.2.3", 5432, "::ffff:10.1.2.3"}, true},
           {{"10.0.0.0/8:5432"}, {"whatever", 5432, "64:ff9b::10.1.2.3"}, true},
           {{"10.0.0.0/8:5432"}, {"whatever", 5432, "2002:a01:203::1"}, false},
           {{"[::]/0:80"}, {"a", 80, "2001:db8::1"}, true},
           {{"[::]/0:80"}, {"a", 80, "192.0.2.1"}, false},
           {{"[::]/0:80"}, {"a", 80, "::ffff:192.0.2.1"}, false},
           {{"*:*"}, {"a", 80, "192.0.2.1"}, true},
           {{"*:*"}, {"192.0.2.1", 80, "192.0.2.1"}, true},
           {{"*:1024-2000"}, {"a", 1023, "192.0.2.1"}, false},
           {{"*:1024-2000"}, {"a", 1024, "192.0.2.1"}, true},
           {{"*:1024-2000"}, {"a", 2000, "192.0.2.1"}, true},
           {{"*:1024-2000"}, {"a", 2001, "192.0.2.1"}, false},
           {{}, {"a", 80, "192.0.2.1"}, false},
           {{"unix:/run/x"}, {"/run/x", 80, "192.0.2.1"}, false},
           {{"*:*"}, {"", 80, "192.0.2.1"}, false},
           {{"*:*"}, {"a", 0, "192.0.2.1"}, false},
           // A denial wins wherever it stands, by the name and by the address.
           {{"*:*", "!10.0.0.0/8:*"}, {"a", 80, "10.1.2.3"}, false},
           {{"!10.0.0.0/8:*", "a:80"}, {"a", 80, "10.1.2.3"}, false},
           {{"!10.0.0.0/8:*", "a:80"}, {"a", 80, "11.1.2.3"}, true},
           {{"!10.0.0.0/8:22", "*:*"}, {"a", 80, "10.1.2.3"}, true},
           {{"!10.0.0.0/8:*", "*:*"}, {"a", 80, "::ffff:10.1.2.3"}, false},
           {{"!*.evil:*", "10.0.0.0/8:*"}, {"a.EVIL.", 80, "10.1.2.3"}, false},
           // A resolver may find bad.test behind each.
           {{"*:*", "!bad.test:*"}, {"bad.test.", 80, "10.1.2.3"}, false},
           {{"*:*", "!bad.test:*"}, {"b\\097d.test", 80, "10.1.2.3"}, false},
           {{"*:*", "!bad.test:*"}, {"\\bad.test", 80, "10.1.2.3"}, false},
           {{"*:*", "!bad.test:*"}, {"bad\\.test", 80, ""}, false},
           {{"!*:25", "10.0.0.0/8:*"}, {"10.1.2.3", 25, "10.1.2.3"}, false},
           {{"!self:*", "10.0.0.5:*"}, {"a", 25, "10.0.0.5"}, false},
           {{"!localhost:*", "127.0.0.1:*"}, {"a", 25, "127.0.0.1"}, false},
       }) {
    EXPECT_EQ(ask(connecting(row.rules), row.open).allowed, row.allowed)
        << row.open.host << " " << row.open.port << " " << row.open.address;
  }
}

/// What "anywhere" does not mean, in every form: each needs a rule that names it.
TEST(MayConnect, GuardedAddressesNeedARuleByAddress) {
  struct Row {
    std::string_view address, rule;
  };
  for (const Row& row : {Row{"127.0.0.1", "127.0.0.1:80"},
                         {"127.0.0.1", "127.0.0.0/8:80"},
                         {"127.0.0.1", "localhost:80"},
                         {"127.0.0.1", "self:80"},
                         {"127.1.2.3", "127.0.0.0/8:80"},
                         {"127.1.2.3", "self:80"},
                         {"::1", "localhost:80"},
                         {"::1", "[::1]:80"},
                         {"::ffff:127.0.0.1", "127.0.0.1:80"},
                         {"::127.0.0.1", "127.0.0.1:80"},
                         {"64:ff9b::7f00:1", "127.0.0.1:80"},
                         {"0.0.0.0", "0.0.0.0:80"},
                         {"0.0.0.0", "self:80"},
                         {"0.1.2.3", "0.0.0.0/8:80"},
                         {"::", "[::]:80"},
                         {"::", "self:80"},
                         {"::ffff:0.0.0.0", "0.0.0.0:80"},
                         {"64:ff9b::", "0.0.0.0:80"},
                         {"169.254.1.1", "169.254.0.0/16:80"},
                         {"fe80::1", "[fe80::]/10:80"},
                         {"169.254.169.254", "169.254.169.254:80"},
                         {"::ffff:169.254.169.254", "169.254.169.254:80"},
                         {"64:ff9b::a9fe:a9fe", "169.254.169.254:80"},
                         {"fd00:ec2::254", "[fd00:ec2::254]:80"},
                         {"100.100.100.200", "100.100.100.200:80"},
                         {"224.0.0.1", "224.0.0.0/4:80"},
                         {"ff02::1", "[ff02::1]:80"},
                         {"255.255.255.255", "255.255.255.255:80"},
                         {"2002:7f00:1::", "[2002::]/16:80"},
                         {"64:ff9b:1::7f00:1", "[64:ff9b:1::]/48:80"},
                         {"10.0.0.5", "10.0.0.5:80"},
                         {"10.0.0.5", "self:80"},
                         {"::ffff:10.0.0.5", "10.0.0.5:80"},
                         {"2001:db8::5", "[2001:db8::5]:80"},
                         {"10.0.0.6", "10.0.0.6:80"},
                         {"fe80::5", "[fe80::5]:80"}}) {
    const Grants anywhere =
        connecting({"*:*", "a.example:*", "*.example:80", "0.0.0.0/0:*", "[::]/0:*", "10.0.0.0/8:*",
                    "[2001:db8::]/32:*", "[fd00::]/8:*", "0.0.0.0/1:*", "128.0.0.0/1:*"});
    for (const std::string_view host : {row.address, std::string_view("a.example")}) {
      const Open open{host, 80, row.address};
      EXPECT_FALSE(ask(anywhere, open)) << row.address;
      EXPECT_TRUE(ask(connecting({row.rule}), open)) << row.address << " " << row.rule;
      // The log names a line that would do.
      const std::string line = ask(anywhere, open).rule;
      ASSERT_TRUE(line.starts_with("connect = [\"") && line.ends_with("\"]")) << line;
      EXPECT_TRUE(ask(connecting({std::string_view(line).substr(12, line.size() - 14)}), open)) << line;
    }
  }
  EXPECT_FALSE(ask(connecting({"169.254.0.0/16:80"}), {"a", 80, "169.254.169.254"}))
      << "narrower than its range";
  EXPECT_FALSE(ask(connecting({"[fe80::]/10:80"}), {"a", 80, "fe80::5"})) << "link-local, and ours";
  EXPECT_FALSE(ask(connecting({"self:80"}), {"a", 80, "169.254.1.1"}));
  EXPECT_FALSE(ask(connecting({"localhost:80"}), {"localhost", 80, "127.0.0.2"}));
  EXPECT_FALSE(ask(connecting({"localhost:80"}), {"localhost", 80, "192.0.2.1"})) << "the address counts";
}

/// getaddrinfo() takes more forms of an address than we do: to us they are names.
TEST(MayConnect, OddSpellingsAreNames) {
  for (const std::string_view host :
       {"127.1", "0x7f.1", "2130706433", "017700000001", "localhost.", "fe80::1%lo"}) {
    EXPECT_FALSE(ask(connecting({"*:*", "0.0.0.0/0:*"}), {host, 80, "127.0.0.1"})) << host;
    EXPECT_TRUE(ask(connecting({"127.0.0.1:80"}), {host, 80, "127.0.0.1"})) << host;
  }
}

TEST(MayConnect, NoNameIsLongerThanThat) {
  const Grants all = connecting({"*:*"});
  EXPECT_TRUE(ask(all, {std::string(255, 'a'), 80, ""}));
  EXPECT_FALSE(ask(all, {std::string(256, 'a'), 80, ""}));
  EXPECT_FALSE(may_listen(listening({"*:*"}), std::string(256, '1'), 80));
}

TEST(MayConnect, BeforeANameIsResolved) {
  struct Row {
    RuleTexts rules;
    std::string_view host;
    bool allowed;
  };
  for (const Row& row : {Row{{"a:80"}, "a", true},
                         {{"a:80"}, "b", false},
                         {{"a:81"}, "a", false},
                         {{"10.0.0.0/8:80"}, "b", true},
                         {{"localhost:80"}, "b", true},
                         {{"*:80"}, "b", true},
                         {{"*:80", "!b:*"}, "b", false},
                         {{"*:80", "!10.0.0.0/8:*"}, "b", true},
                         {{"unix:/b"}, "b", false},
                         // An address need not be resolved.
                         {{"10.0.0.0/8:80"}, "10.1.2.3", true},
                         {{"10.0.0.0/8:80"}, "11.1.2.3", false},
                         {{"*:80"}, "127.0.0.1", false},
                         {{"*:80"}, "::ffff:127.0.0.1", false},
                         {{"*:80", "!10.0.0.0/8:*"}, "10.1.2.3", false}}) {
    EXPECT_EQ(ask(connecting(row.rules), {row.host, 80, ""}).allowed, row.allowed) << row.host;
  }
}

TEST(MayConnect, SaysWhyNotAndWhatWouldHelp) {
  struct Row {
    Open open;
    std::string_view reason, rule;
  };
  const Grants grants = connecting({"!evil.example:*", "*.example:80"});
  for (const Row& row :
       {Row{{"db.internal", 5432, ""},
            "no rule allows to connect to db.internal:5432",
            "connect = [\"db.internal:5432\"]"},
        {{"db.internal", 5432, "10.1.2.3"},
         "no rule allows to connect to db.internal (10.1.2.3) at port 5432",
         "connect = [\"db.internal:5432\"]"},
        {{"10.1.2.3", 5432, "10.1.2.3"},
         "no rule allows to connect to 10.1.2.3 at port 5432",
         "connect = [\"10.1.2.3:5432\"]"},
        {{"2001:db8::1", 1, "2001:db8::1"},
         "no rule allows to connect to 2001:db8::1 at port 1",
         "connect = [\"[2001:db8::1]:1\"]"},
        {{"a.example", 80, "::ffff:127.0.0.1"},
         "a.example (127.0.0.1) is a loopback address, and no rule names that address or a network of its "
         "kind with port 80",
         "connect = [\"127.0.0.1:80\"]"},
        {{"a.example", 80, "10.0.0.5"},
         "a.example (10.0.0.5) is an address of this machine, and no rule names that address or a network of "
         "its kind with "
         "port 80",
         "connect = [\"10.0.0.5:80\"]"},
        {{"evil.example", 80, "192.0.2.1"}, "refused by \"!evil.example:*\"", ""},
        {{"a\n\"", 80, ""}, "no rule allows to connect to a\\x0a\":80", ""},
        {{"*", 80, "192.0.2.1"},
         "no rule allows to connect to * (192.0.2.1) at port 80",
         "connect = [\"192.0.2.1:80\"]"},
        {{"self", 80, ""}, "no rule allows to connect to self:80", ""},
        {{"self", 80, "192.0.2.1"},
         "no rule allows to connect to self (192.0.2.1) at port 80",
         "connect = [\"192.0.2.1:80\"]"},
        {{"localhost", 80, ""}, "no rule allows to connect to localhost:80", "connect = [\"localhost:80\"]"},
        {{"127.1", 80, ""}, "no rule allows to connect to 127.1:80", ""},
        {{"", 80, ""}, "request names no host or no port", ""}}) {
    const Decision decision = ask(grants, row.open);
    EXPECT_FALSE(decision);
    EXPECT_EQ(decision.reason, row.reason);
    EXPECT_EQ(decision.rule, row.rule) << row.reason;
  }
}

TEST(MayConnect, SaysTheOptionThatWouldHelpWhereRulesAreOptions) {
  Grants grants = connecting({"*.example:80"});
  grants.form = RuleForm::option;
  EXPECT_EQ(ask(grants, {"db.internal", 5432, ""}).rule, "--connect 'db.internal:5432'");
  EXPECT_EQ(ask(grants, {"a.example", 80, "127.0.0.1"}).rule, "--connect '127.0.0.1:80'");
}

// Rules for its user stand back behind those: the line that is named must be one that does.
TEST(MayConnect, SaysTheOptionOfTheKeyThatWouldHelp) {
  struct Row {
    Open open;
    std::string_view option;
  };
  for (const Row& row : {Row{{"db", 80, ""}, R"(permitopen="db:80")"},
                         {{"db", 80, "10.1.2.3"}, R"(permitopen="db:80")"},
                         {{"localhost", 80, "127.0.0.1"}, R"(permitopen="localhost:80")"},
                         {{"::1", 80, "::1"}, R"(permitopen="[::1]:80")"},
                         {{"db", 80, "127.0.0.1"}, ""}}) {
    const Decision refused = ask(permitted(R"(permitopen="a:1")"), row.open);
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.rule, row.option);
    if (!row.option.empty()) EXPECT_TRUE(ask(permitted(row.option), row.open)) << row.option;
  }
}

TEST(MayConnect, PermitsOfAKeyAreComparedAsText) {
  struct Row {
    std::string_view options;
    Open open;
    bool allowed;
  };
  for (const Row& row :
       {Row{R"(permitopen="db:5432")", {"db", 5432, "10.1.2.3"}, true},
        {R"(permitopen="db:5432")", {"db", 5433, "10.1.2.3"}, false},
        {R"(permitopen="db:5432")", {"DB", 5432, "10.1.2.3"}, false},
        {R"(permitopen="db:5432")", {"db.", 5432, "10.1.2.3"}, false},
        {R"(permitopen="db:5432")", {"10.1.2.3", 5432, "10.1.2.3"}, false},
        {R"(permitopen="db:*")", {"db", 1, "10.1.2.3"}, true},
        {R"(permitopen="*.example:80")", {"a.example", 80, "10.1.2.3"}, false},
        {R"(permitopen="*:80")", {"a.example", 80, "10.1.2.3"}, true},
        {R"(permitopen="*:80")", {"127.0.0.1", 80, "127.0.0.1"}, false},
        {R"(permitopen="*:*")", {"a", 80, "169.254.169.254"}, false},
        {R"(permitopen="localhost:80")", {"localhost", 80, "127.0.0.1"}, true},
        {R"(permitopen="localhost:80")", {"localhost", 80, "::1"}, true},
        {R"(permitopen="localhost:80")", {"127.0.0.1", 80, "127.0.0.1"}, false},
        {R"(permitopen="localhost:80")", {"localhost", 80, "169.254.169.254"}, false},
        {R"(permitopen="127.0.0.1:80")", {"127.0.0.1", 80, "127.0.0.1"}, true},
        {R"(permitopen="127.0.0.1:80")", {"localhost", 80, "127.0.0.1"}, false},
        {R"(permitopen="[::1]:80")", {"::1", 80, "::1"}, true},
        {R"(permitopen="[::1]:80")", {"0:0:0:0:0:0:0:1", 80, "::1"}, false},
        {R"(permitopen="[::ffff:127.0.0.1]:80")", {"::ffff:127.0.0.1", 80, "::ffff:127.0.0.1"}, true},
        {R"(permitopen="127.1:80")", {"127.1", 80, "127.0.0.1"}, false},
        {R"(permitopen="db:80")", {"db", 80, "10.0.0.5"}, false},
        {R"(permitopen="10.0.0.5:80")", {"10.0.0.5", 80, "10.0.0.5"}, true},
        {R"(permitopen="0.0.0.0:80")", {"0.0.0.0", 80, "0.0.0.0"}, true},
        {R"(restrict,permitopen="db:80")", {"db", 80, "10.1.2.3"}, false},
        {R"(restrict,port-forwarding,permitopen="db:80")", {"db", 80, "10.1.2.3"}, true},
        {R"(permitlisten="80")", {"db", 80, "10.1.2.3"}, false},
        {"", {"db", 80, "10.1.2.3"}, false}}) {
    const Decision decision = ask(permitted(row.options), row.open);
    EXPECT_EQ(decision.allowed, row.allowed)
        << row.options << " " << row.open.host << " " << row.open.address;
    if (row.allowed) EXPECT_TRUE(ask(permitted(row.options), {row.open.host, row.open.port, ""}));
  }
  EXPECT_FALSE(ask(permitted(R"(permitopen="db:80")"), {"a", 80, ""})) << "no other name is looked up";
}

TEST(MayUsePaths, OnlyListedOnes) {
  const Grants grants = [] {
    Grants both = connecting({"*:*", "unix:/run/app/*.sock", "!unix:/run/app/root.sock"});
    both.listen = listening({"*:*", "unix:/run/x/?"}).listen;
    return both;
  }();
  struct Row {
    std::string_view path, answer;
  };
  for (const Row& row : {Row{"/run/app/a.sock", "/run/app/a.sock"},
                         {"//run/./app///a.sock", "/run/app/a.sock"},
                         {"/run/app/root.sock", "refused by \"!unix:/run/app/root.sock\""},
                         {"/run//app/root.sock", "refused by \"!unix:/run/app/root.sock\""},
                         {"/run/app/b/a.sock", "no rule allows the Unix socket /run/app/b/a.sock"},
                         {"/run/app/../app/a.sock", "path of a socket has \"..\" in it"},
                         {"run/app/a.sock", "path of a socket does not begin with a slash"},
                         {"/run/x/y", "no rule allows the Unix socket /run/x/y"}}) {
    const PathDecision decision = may_connect_path(grants, row.path);
    EXPECT_EQ(decision ? decision.path : decision.reason, row.answer) << row.path;
  }
  EXPECT_EQ(may_listen_path(grants, "/run/x/y").path, "/run/x/y");
  EXPECT_FALSE(may_listen_path(grants, "/run/app/a.sock"));
  EXPECT_EQ(may_listen_path(grants, "/run/y").rule, "listen = [\"unix:/run/y\"]");
  EXPECT_EQ(may_connect_path(grants, "/run/\"").rule, "");
  EXPECT_FALSE(may_connect_path(permitted(R"(permitopen="*:*")"), "/run/app/a.sock"));
  Grants none = grants;
  none.port_forwarding = false;
  EXPECT_FALSE(may_connect_path(none, "/run/app/a.sock"));
}

}  // namespace
}  // namespace culvert::files
