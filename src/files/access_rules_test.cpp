// SPDX-License-Identifier: Apache-2.0
#include "files/access_rules.hpp"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "crypto/key_fixtures_test.hpp"
#include "crypto/private_key.hpp"

namespace culvert::files {
namespace {

using Texts = std::initializer_list<std::string_view>;

bool is_own(const IpAddress& address) {
  static const IpAddress own[] = {IpAddress::v4(0x7f000001), *IpAddress::parse("10.0.0.5"),
                                  *IpAddress::parse("10.0.0.6"), *IpAddress::parse("fe80::5"),
                                  *IpAddress::parse("2001:db8::5")};
  return std::ranges::find(own, address) != std::end(own);
}

std::vector<ForwardRule> rules_of(Texts texts, Result<ForwardRule> (*parse)(std::string_view)) {
  std::vector<ForwardRule> rules;
  for (const std::string_view text : texts) {
    const auto rule = parse(text);
    EXPECT_TRUE(rule) << text;
    rules.push_back(*rule);
  }
  return rules;
}

Grants connecting(Texts texts) {
  Grants grants;
  grants.connect = rules_of(texts, &ForwardRule::parse_connect);
  return grants;
}

Grants listening(Texts texts) {
  Grants grants;
  grants.listen = rules_of(texts, &ForwardRule::parse_listen);
  grants.listen_default = {IpAddress::v4(0x7f000001), *IpAddress::parse("::1")};
  return grants;
}

const crypto::PublicKey& some_key() {
  static const auto key = crypto::parse_public_key_line(crypto::kKeyFixtures[0].public_line);
  return *key;
}

KeyOptions key_options(std::string_view text) {
  return parse_key_options(text, [](UnixSeconds local) { return local; }).value();
}

/// Of a key that no rule names, with these options.
Grants permitted(std::string_view options) { return grants_for(nullptr, some_key(), key_options(options)); }

struct Open {
  std::string_view host;
  std::uint16_t port;
  std::string_view address;  ///< empty: not resolved yet
};

Decision ask(const Grants& grants, const Open& open) {
  std::optional<IpAddress> address;
  if (!open.address.empty()) address = IpAddress::parse(open.address).value();
  return may_connect(grants, open.host, open.port, address, is_own);
}

TEST(MayConnect, ByNameAndByAddress) {
  struct Row {
    Texts rules;
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

TEST(MayConnect, BeforeANameIsResolved) {
  struct Row {
    Texts rules;
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

TEST(MayListen, SaysTheOptionOfTheKeyThatWouldHelp) {
  struct Row {
    std::string_view bind;
    std::uint16_t port;
    std::string_view option;
  };
  for (const Row& row : {Row{"localhost", 8080, R"(permitlisten="8080")"},
                         {"", 8080, R"(permitlisten="8080")"},
                         {"localhost", 0, R"(permitlisten="*")"},
                         {"10.0.0.5", 8080, R"(permitlisten="10.0.0.5:8080")"},
                         {"::1", 8080, R"(permitlisten="[::1]:8080")"},
                         {"*", 8080, ""}}) {
    const ListenDecision refused = may_listen(permitted(R"(permitlisten="1")"), row.bind, row.port);
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.rule, row.option);
    if (!row.option.empty()) EXPECT_TRUE(may_listen(permitted(row.option), row.bind, row.port)) << row.option;
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

/// "127.0.0.1 ::1 8000-8999", or the reason.
std::string answer(const ListenDecision& decision) {
  if (!decision) return decision.reason + " | " + decision.rule;
  std::string text;
  for (const IpAddress& address : decision.addresses) text += address.text() + " ";
  text += std::to_string(decision.ports.first);
  if (decision.ports.last != decision.ports.first) text += "-" + std::to_string(decision.ports.last);
  return text;
}

TEST(MayListen, ByTheRules) {
  struct Row {
    Texts rules;
    std::string_view bind;
    std::uint16_t port;
    std::string_view answer;
  };
  for (const Row& row : {
           Row{{"8000-8999"}, "", 8080, "127.0.0.1 ::1 8080"},
           {{"8000-8999"}, "localhost", 8999, "127.0.0.1 ::1 8999"},
           {{"8000-8999"}, "LocalHost", 8000, "127.0.0.1 ::1 8000"},
           {{"8000-8999"}, "127.0.0.1", 8080, "127.0.0.1 8080"},
           {{"8000-8999"}, "::ffff:127.0.0.1", 8080, "127.0.0.1 8080"},
           {{"8000-8999"}, "localhost", 9000, "no rule allows to listen at port 9000 | listen = [\"9000\"]"},
           {{"8000-8999"},
            "0.0.0.0",
            8080,
            "no rule allows to listen at 0.0.0.0:8080 | listen = [\"0.0.0.0:8080\"]"},
           {{"8000-8999"}, "::", 8080, "no rule allows to listen at [::]:8080 | listen = [\"[::]:8080\"]"},
           {{"8000-8999"}, "*", 8080, "no rule allows to listen at *:8080 | listen = [\"*:8080\"]"},
           {{"8000-8999"},
            "127.0.0.2",
            8080,
            "no rule allows to listen at 127.0.0.2:8080 | listen = [\"127.0.0.2:8080\"]"},
           {{"8000-8999"}, "evil.example", 8080, "cannot listen at \"evil.example\": it is no address | "},
           {{"8000-8999"}, "127.1", 8080, "cannot listen at \"127.1\": it is no address | "},
           {{"127.0.0.1:9000"}, "localhost", 9000, "127.0.0.1 9000"},
           {{"127.0.0.1:9000", "9000"}, "localhost", 9000, "127.0.0.1 ::1 9000"},
           {{"[::1]:9000", "127.0.0.1:9000"}, "", 9000, "127.0.0.1 ::1 9000"},
           {{"localhost:9000"}, "localhost", 9000, "127.0.0.1 ::1 9000"},
           {{"localhost:9000"},
            "127.0.0.2",
            9000,
            "no rule allows to listen at 127.0.0.2:9000 | listen = [\"127.0.0.2:9000\"]"},
           {{"*:80"}, "*", 80, "0.0.0.0 :: 80"},
           {{"*:80"}, "0.0.0.0", 80, "0.0.0.0 80"},
           {{"*:80"}, "::", 80, ":: 80"},
           {{"*:80"}, "192.0.2.1", 80, "192.0.2.1 80"},
           {{"*:80"}, "localhost", 80, "127.0.0.1 ::1 80"},
           // RFC 4254 section 7.1: "" is every address, for whom it is granted.
           {{"*:80"}, "", 80, "0.0.0.0 :: 80"},
           {{"*:80"}, "", 0, "0.0.0.0 :: 80"},
           {{"0.0.0.0:80"}, "", 80, "0.0.0.0 80"},
           {{"*:80", "8000-8999"}, "", 8080, "127.0.0.1 ::1 8080"},
           {{"!10.0.0.1:*", "![::1]:*", "*:*"}, "", 23, "127.0.0.1 23"},
           {{"0.0.0.0:80"}, "*", 80, "0.0.0.0 80"},
           {{"0.0.0.0:80"},
            "192.0.2.1",
            80,
            "no rule allows to listen at 192.0.2.1:80 | listen = [\"192.0.2.1:80\"]"},
           {{"0.0.0.0/0:80"}, "0.0.0.0", 80, "0.0.0.0 80"},
           {{"0.0.0.0/8:80"},
            "0.0.0.0",
            80,
            "no rule allows to listen at 0.0.0.0:80 | listen = [\"0.0.0.0:80\"]"},
           {{"10.0.0.0/8:80"}, "10.1.2.3", 80, "10.1.2.3 80"},
           {{"10.0.0.0/8:80"},
            "11.1.2.3",
            80,
            "no rule allows to listen at 11.1.2.3:80 | listen = [\"11.1.2.3:80\"]"},
           // Any port.
           {{"8000-8999"}, "", 0, "127.0.0.1 ::1 8000-8999"},
           {{"*"}, "", 0, "127.0.0.1 ::1 0-65535"},
           {{"127.0.0.1:9000", "8000-8999"}, "", 0, "127.0.0.1 9000"},
           {{"10.0.0.1:9000", "8000-8999"}, "", 0, "127.0.0.1 ::1 8000-8999"},
           {{}, "", 0, "no rule allows to listen at port * | listen = [\"*\"]"},
           // A denial wins, and who binds every address binds that one.
           {{"*:*", "!22"}, "10.0.0.1", 22, "refused by \"!22\" | "},
           {{"*:*", "!22"}, "10.0.0.1", 23, "10.0.0.1 23"},
           {{"!10.0.0.1:*", "*:*"}, "10.0.0.1", 23, "refused by \"!10.0.0.1:*\" | "},
           {{"!10.0.0.1:*", "*:*"}, "10.0.0.2", 23, "10.0.0.2 23"},
           {{"!10.0.0.1:*", "*:*"}, "*", 23, ":: 23"},
           {{"!10.0.0.1:*", "*:*"}, "0.0.0.0", 23, "refused by \"!10.0.0.1:*\" | "},
           {{"!*:1-1023", "*:*"}, "", 80, "refused by \"!*:1-1023\" | "},
           {{"!localhost:*", "*:*"}, "::", 80, "refused by \"!localhost:*\" | "},
       }) {
    EXPECT_EQ(answer(may_listen(listening(row.rules), row.bind, row.port)), row.answer)
        << row.bind << " " << row.port;
  }
  Grants open = listening({"8000-8999"});
  open.listen_default = {IpAddress()};
  EXPECT_EQ(answer(may_listen(open, "localhost", 8080)), "0.0.0.0 8080")
      << "what localhost binds, the file says";
  Grants said = listening({"*:*"});
  said.has_listen_default = true;
  EXPECT_EQ(answer(may_listen(said, "", 8080)), "127.0.0.1 ::1 8080") << "and \"\", where it says so";
  open.port_forwarding = false;
  EXPECT_FALSE(may_listen(open, "localhost", 8080));
}

TEST(MayListen, ByPermitsOfAKey) {
  struct Row {
    std::string_view options, bind;
    std::uint16_t port;
    std::string_view answer;
  };
  for (const Row& row : {Row{R"(permitlisten="8080")", "localhost", 8080, "127.0.0.1 ::1 8080"},
                         {R"(permitlisten="8080")", "", 8080, "127.0.0.1 ::1 8080"},
                         {R"(permitlisten="8080")", "127.0.0.2", 8080, "127.0.0.2 8080"},
                         {R"(permitlisten="8080")", "0.0.0.0", 8080, "no"},
                         {R"(permitlisten="*:8080")", "*", 8080, "no"},
                         {R"(permitlisten="*:8080")", "10.0.0.5", 8080, "no"},
                         {R"(permitlisten="8080")", "localhost", 8081, "no"},
                         {R"(permitlisten="8080")", "localhost", 0, "no"},
                         {R"(permitlisten="*")", "localhost", 0, "127.0.0.1 ::1 0-65535"},
                         {R"(permitlisten="*")", "localhost", 8081, "127.0.0.1 ::1 8081"},
                         {R"(permitlisten="localhost:8080")", "LOCALHOST", 8080, "127.0.0.1 ::1 8080"},
                         {R"(permitlisten="localhost:8080")", "127.0.0.1", 8080, "no"},
                         {R"(permitlisten="localhost:8080")", "", 8080, "no"},
                         {R"(permitlisten="127.0.0.1:8080")", "127.0.0.1", 8080, "127.0.0.1 8080"},
                         {R"(permitlisten="127.0.0.1:8080")", "localhost", 8080, "no"},
                         {R"(permitlisten="127.0.0.1:8080")", "::ffff:127.0.0.1", 8080, "no"},
                         {R"(permitlisten="10.*:8080")", "10.0.0.5", 8080, "10.0.0.5 8080"},
                         {R"(permitlisten="0.0.0.0:8080")", "0.0.0.0", 8080, "0.0.0.0 8080"},
                         {R"(permitlisten="[::1]:8080")", "::1", 8080, "::1 8080"},
                         {R"(restrict,permitlisten="8080")", "localhost", 8080, "no"},
                         {R"(permitopen="localhost:8080")", "localhost", 8080, "no"},
                         {"", "localhost", 8080, "no"}}) {
    const ListenDecision decision = may_listen(permitted(row.options), row.bind, row.port);
    EXPECT_EQ(decision ? answer(decision) : "no", row.answer)
        << row.options << " " << row.bind << " " << row.port;
  }
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
