// SPDX-License-Identifier: Apache-2.0
#include "files/key_options.hpp"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/wire.hpp"
#include "crypto/certificate_fixtures_test.hpp"
#include "crypto/private_key.hpp"

namespace culvert::files {
namespace {

/// A zone two hours east of Greenwich.
UnixSeconds east(UnixSeconds local) { return local - 7200; }

KeyOptions options_of(std::string_view text) {
  const auto options = parse_key_options(text, east);
  EXPECT_TRUE(options) << text << ": " << (options ? "" : options.error().message);
  return options.value_or(KeyOptions{});
}

std::string options_error(std::string_view text) {
  const auto options = parse_key_options(text, east);
  return options ? "none" : options.error().message;
}

// sshd 9.2 takes each of these.
TEST(KeyOptions, ThatConcernShellsChangeNothing) {
  for (const std::string_view text : {"",
                                      ",",
                                      "pty,",
                                      ",pty",
                                      "pty,,pty",
                                      "no-pty",
                                      "PTY",
                                      "user-rc",
                                      "no-user-rc",
                                      "x11-Forwarding",
                                      "no-X11-forwarding",
                                      "agent-forwarding",
                                      "no-agent-forwarding",
                                      "no-touch-required",
                                      "touch-required",
                                      "verify-required",
                                      "no-verify-required",
                                      R"(environment="A=b",environment="A=c")",
                                      R"(environment="A_1=")",
                                      R"(tunnel="0")",
                                      R"(tunnel="any")",
                                      R"(zos-key-ring-label="x")"}) {
    EXPECT_EQ(options_of(text), KeyOptions{}) << text;
  }
  EXPECT_EQ(options_of(R"(command="a\"b c, d")").command, R"(a"b c, d)");
  EXPECT_EQ(options_of(R"(command="a\\"b")").command, R"(a\"b)");
  EXPECT_EQ(options_of(R"(command="\n",pty)").command, R"(\n)");
}

TEST(KeyOptions, OfPortForwardingTheLastCounts) {
  struct Row {
    std::string_view text;
    bool allowed;
  };
  for (const Row& row : {Row{"", true},
                         {"restrict", false},
                         {"RESTRICT", false},
                         {"no-port-forwarding", false},
                         {"No-Port-Forwarding", false},
                         {"restrict,port-forwarding", true},
                         {"port-forwarding,restrict", false},
                         {"restrict,port-forwarding,no-port-forwarding", false},
                         {"restrict,pty", false},
                         {R"(restrict,permitopen="a:1")", false}}) {
    EXPECT_EQ(options_of(row.text).port_forwarding, row.allowed) << row.text;
  }
}

TEST(KeyOptions, Permits) {
  struct Row {
    std::string_view value, host;
    std::uint16_t port;
  };
  for (const Row& row : {Row{"db:5432", "db", 5432},
                         {"db:*", "db", 0},
                         {"*:*", "*", 0},
                         {"*:80", "*", 80},
                         {"db:65535", "db", 65535},
                         {"db:080", "db", 80},
                         {":80", "", 80},
                         {"[::1]:80", "::1", 80},
                         {"[::1]/80", "::1", 80},
                         {"[db]:80", "db", 80},
                         {"a b:80", "a b", 80}}) {
    const Permit expected{std::string(row.host), row.port};
    for (const std::string_view name : {"permitopen", "permitlisten"}) {
      const KeyOptions options = options_of(std::string(name) + "=\"" + std::string(row.value) + "\"");
      const bool opens = name == "permitopen";
      EXPECT_EQ(options.permit_open, opens ? std::vector{expected} : std::vector<Permit>{}) << row.value;
      EXPECT_EQ(options.permit_listen, opens ? std::vector<Permit>{} : std::vector{expected}) << row.value;
    }
  }
  EXPECT_EQ(options_of(R"(permitlisten="8080",permitlisten="*")").permit_listen,
            (std::vector<Permit>{{"*", 8080}, {"*", 0}}));
  EXPECT_EQ(options_of(R"(permitopen="db/80")").permit_open, (std::vector<Permit>{{"db", 80}}));
  EXPECT_EQ(options_of(R"(permitopen="a:1",PermitOpen="b:2")").permit_open,
            (std::vector<Permit>{{"a", 1}, {"b", 2}}));
}

// sshd 9.2 takes none of these, but for those with a note.
TEST(KeyOptions, AreRefused) {
  struct Row {
    std::string_view text, error;
  };
  for (const Row& row :
       {Row{"foo", "unknown key option \"foo\""},
        {"pty,foo", "unknown key option \"foo\""},
        {"ptyfoo", "unknown key option \"ptyfoo\""},
        {"no-restrict", "unknown key option \"no-restrict\""},
        {"no-no-pty", "unknown key option \"no-no-pty\""},
        {"no-cert-authority", "unknown key option \"no-cert-authority\""},
        {"pty=\"1\"", "unknown key option \"pty\""},
        {"no-from=\"1\"", "unknown key option \"no-from\""},
        {"\x1b[31m", "unknown key option \"\\x1b[31m\""},
        {"command", "unknown key option \"command\""},
        {"\"\"", "unknown key option \"\"\"\""},
        {"command=", "value of command is not in double quotes"},
        {"command=x", "value of command is not in double quotes"},
        {"command=\"x", "value of command has no closing quote"},
        {R"(command="x\")", "value of command has no closing quote"},
        {R"(command="x"y)", "unknown key option \"y\""},
        {R"(command="a",command="a")", "more than one command"},
        {R"(principals="a",principals="a")", "more than one principals"},
        {R"(principals="a")", "principals stands before a key that is no cert-authority"},
        {R"(from="::1",from="::1")", "more than one from"},
        {R"(from="")", "list of source addresses has an empty entry"},  // sshd lets nobody in
        {R"(from="10.0.0.1/8")",
         "\"10.0.0.1/8\" is no network like 192.0.2.0/24: bits behind the prefix are set"},
        {R"(environment="A")", "value of environment is malformed"},
        {R"(environment="=b")", "value of environment is malformed"},
        {R"(environment="A-B=b")", "value of environment is malformed"},
        {R"(tunnel="x")", "value of tunnel is malformed"},
        {R"(permitopen="8080")", "permitopen=\"8080\": port is missing"},
        {R"(permitopen="*")", "permitopen=\"*\": port is missing"},
        {R"(permitopen="")", "permitopen=\"\": port is missing"},
        {R"(permitopen="db:")", "permitopen=\"db:\": port is no number from 1 to 65535"},
        {R"(permitopen="db:0")", "permitopen=\"db:0\": port is no number from 1 to 65535"},
        {R"(permitopen="db:65536")", "permitopen=\"db:65536\": port is no number from 1 to 65535"},
        {R"(permitopen="db:http")", "permitopen=\"db:http\": port is no number from 1 to 65535"},  // sshd: 80
        {R"(permitopen="db:1-9")", "permitopen=\"db:1-9\": port is no number from 1 to 65535"},
        {R"(permitopen="[::1]80")", "permitopen=\"[::1]80\": host is malformed"},
        {R"(permitopen="[::1]")", "permitopen=\"[::1]\": port is missing"},
        {R"(permitopen="[::1")", "permitopen=\"[::1\": bracket is not closed"},
        {R"(permitopen="::1:80")", "permitopen=\"::1:80\": port is no number from 1 to 65535"},
        {R"(permitopen="/run/x")", "permitopen=\"/run/x\": port is no number from 1 to 65535"},
        {R"(permitlisten="")", "permitlisten=\"\": port is no number from 1 to 65535"},
        {R"(permitlisten="db/80")", "permitlisten=\"db/80\": port is no number from 1 to 65535"},
        {R"(permitlisten="0")", "permitlisten=\"0\": port is no number from 1 to 65535"},
        {R"(permitlisten="localhost")", "permitlisten=\"localhost\": port is no number from 1 to 65535"},
        {R"(permitlisten="8080-8090")", "permitlisten=\"8080-8090\": port is no number from 1 to 65535"}}) {
    EXPECT_EQ(options_error(row.text), row.error) << row.text;
  }
  EXPECT_EQ(options_error("permitopen=\"" + std::string(1025, 'a') + ":1\"").substr(0, 12), "permitopen=\"");
}

TEST(KeyOptions, HaveABoundedNumberOfPermits) {
  std::string text;
  for (std::size_t i = 0; i < kMaxPermits; ++i) text += R"(permitopen="a:1",)";
  EXPECT_EQ(options_of(text).permit_open.size(), kMaxPermits);
  EXPECT_EQ(options_error(text + R"(permitopen="a:1")"), "more than 4096 times permitopen");
  EXPECT_EQ(options_error(text + R"(permitlisten="1")"), "none");
}

TEST(KeyOptions, ExpiryIsATimeOfThisZoneOrOfUtc) {
  struct Row {
    std::string_view value;
    UnixSeconds seconds;
  };
  for (const Row& row : {Row{"20270101Z", 1798761600},
                         {"20270101z", 1798761600},
                         {"20270101UTC", 1798761600},
                         {"20270101", 1798761600 - 7200},
                         {"202701010102", 1798761600 + 3720 - 7200},
                         {"202701010102Z", 1798761600 + 3720},
                         {"20270101010203Z", 1798761600 + 3723},
                         {"20280229Z", 1835395200}}) {
    EXPECT_EQ(options_of("expiry-time=\"" + std::string(row.value) + "\"").expiry, row.seconds) << row.value;
  }
  // sshd makes a day of March of the 29th of February, and takes a leap second.
  for (const std::string_view value :
       {"", "Z", "2027", "20270101 Z", "2027010Z", "20271301Z", "20270001Z", "20270100Z", "20270229Z",
        "2027010124Z", "202701012400Z", "202701010060Z", "20270101000060Z", "19700101Z", "19691231Z",
        "-0270101Z", "+0270101Z", "20270101ZZ", "20270101GMT"}) {
    EXPECT_EQ(options_error("expiry-time=\"" + std::string(value) + "\""),
              "expiry-time=\"" + std::string(value) + "\" is no time like 20271231Z or 202712312359");
  }
  EXPECT_EQ(options_of(R"(expiry-time="20280101Z",expiry-time="20270101Z")").expiry, 1798761600);
  EXPECT_EQ(options_of(R"(expiry-time="20270101Z",expiry-time="20280101Z")").expiry, 1798761600);
}

TEST(KeyOptions, Principals) {
  EXPECT_FALSE(options_of("cert-authority").principals);
  EXPECT_TRUE(options_of("cert-authority").is_authority);
  EXPECT_EQ(options_of(R"(principals="a,b,,A ",cert-authority)").principals,
            (std::vector<std::string>{"a", "b", "A "}));
  EXPECT_EQ(options_of(R"(cert-authority,principals="")").principals, std::vector<std::string>{});
}

TEST(CheckUse, MindsTheSource) {
  struct Row {
    std::string_view list, source;
    bool allowed;
  };
  for (const Row& row : {Row{"10.0.0.0/8", "10.1.2.3", true},
                         {"10.0.0.0/8", "11.1.2.3", false},
                         {"10.0.0.0/8", "::ffff:10.1.2.3", true},
                         {"10.0.0.0/8", "64:ff9b::10.1.2.3", false},
                         {"10.0.0.0/8", "::10.1.2.3", false},
                         {"64:ff9b::/96", "10.1.2.3", false},
                         {"::ffff:10.0.0.0/104", "10.1.2.3", true},
                         {"10.1.2.3", "10.1.2.3", true},
                         {"10.1.2.*", "10.1.2.3", true},
                         {"10.1.2.?", "10.1.2.33", false},
                         {"2001:DB8::*", "2001:db8::1", true},
                         {"2001:db8::/32,!2001:db8::1", "2001:db8::2", true},
                         {"2001:db8::/32,!2001:db8::1", "2001:db8::1", false},
                         {"!2001:db8::1,2001:db8::/32", "2001:db8::1", false},
                         {"!10.0.0.0/8", "11.0.0.1", false},
                         {"*,!10.0.0.0/8", "11.0.0.1", true},
                         {"*.example.org,10.0.0.1", "10.0.0.1", true},
                         {"*.example.org,example.org", "10.0.0.1", false}}) {
    const KeyOptions options = options_of("from=\"" + std::string(row.list) + "\"");
    EXPECT_EQ(check_use(options, *IpAddress::parse(row.source), 0).has_value(), row.allowed)
        << row.list << " " << row.source;
  }
  EXPECT_EQ(check_use(options_of(R"(from="10.0.0.0/8")"), *IpAddress::parse("192.0.2.1"), 0).error().message,
            "key may not be used from 192.0.2.1, only from 10.0.0.0/8");
  for (const std::string_view list :
       {",", "10.0.0.1,", ",10.0.0.1", "!", "*,!", "10.1", "*,!10.1", "*,!10.0.0.01", "::1::", "10.0.0.0/33",
        "name/8", "10.0.0.0/8,10.0.0.1/8", "fe80::1%eth0"}) {
    EXPECT_NE(options_error("from=\"" + std::string(list) + "\""), "none") << list;
    KeyOptions options;
    options.from = list;
    EXPECT_FALSE(check_use(options, *IpAddress::parse("10.0.0.1"), 0)) << list;
  }
}

TEST(CheckUse, MindsTheTime) {
  KeyOptions options;
  EXPECT_TRUE(check_use(options, IpAddress(), 1000));
  options.expiry = 1000;
  EXPECT_TRUE(check_use(options, IpAddress(), 1000));
  EXPECT_EQ(check_use(options, IpAddress(), 1001).error().message, "key has expired");
}

using Entries = std::vector<std::pair<std::string, Bytes>>;

Bytes text_content(std::string_view text) {
  Bytes content;
  Writer(content).text(text);
  return content;
}

const Entries kForwarding = {{"permit-port-forwarding", {}}};

/// A user's certificate with these critical options and extensions.
crypto::Certificate certificate(const Entries& critical, const Entries& extensions,
                                std::uint64_t valid_before = ~0ull) {
  static const auto authority = crypto::PrivateKey::generate_ed25519();
  const auto list = [](const Entries& entries) {
    Bytes bytes;
    for (const auto& [name, content] : entries) Writer(bytes).text(name).string(content);
    return bytes;
  };
  Bytes blob, principals;
  Writer(principals).text("alice");
  Writer(blob).text("ssh-ed25519-cert-v01@openssh.com").text("nonce");
  const crypto::PublicKey certified = *crypto::parse_public_key_line(crypto::kCertifiedEd25519);
  Reader key(certified.blob());
  EXPECT_TRUE(key.text());
  Writer(blob).string(*key.string()).u64(1).u32(1).text("id").string(principals).u64(0).u64(valid_before);
  Writer(blob).string(list(critical)).string(list(extensions)).text("").string(authority.public_key().blob());
  const Bytes signature = *authority.sign("ssh-ed25519", blob);
  Writer(blob).string(signature);
  const auto made = crypto::Certificate::parse(blob);
  EXPECT_TRUE(made) << (made ? "" : made.error().message);
  return *made;
}

TEST(Merged, PermissionNeedsBoth) {
  const auto with = certificate({}, kForwarding);
  const auto without = certificate({}, {{"permit-pty", {}}});
  EXPECT_TRUE(merged(options_of(""), with)->port_forwarding);
  EXPECT_FALSE(merged(options_of(""), without)->port_forwarding);
  EXPECT_FALSE(merged(options_of("restrict"), with)->port_forwarding);
  EXPECT_FALSE(merged(options_of(""), certificate({}, {{"permit-port-forwarding", {1}}}))->port_forwarding);
  EXPECT_TRUE(merged(options_of(""), certificate({}, {{"unknown@example.org", {1, 2}}, kForwarding[0]}))
                  ->port_forwarding)
      << "an extension that is not known counts for nothing";
  const KeyOptions options =
      options_of(R"(cert-authority,principals="a",permitopen="a:1",from="10.0.0.0/8")");
  EXPECT_EQ(*merged(options, with), options);
}

TEST(Merged, LimitsOfBothHold) {
  const auto limited = certificate({{"source-address", text_content("10.1.0.0/16,::1")}}, kForwarding, 1001);
  const KeyOptions both = *merged(options_of(R"(from="10.0.0.0/8,192.0.2.1")"), limited);
  EXPECT_TRUE(check_use(both, *IpAddress::parse("10.1.0.1"), 1000));
  EXPECT_FALSE(check_use(both, *IpAddress::parse("10.2.0.1"), 1000));
  EXPECT_FALSE(check_use(both, *IpAddress::parse("192.0.2.1"), 1000));
  EXPECT_FALSE(check_use(both, *IpAddress::parse("::1"), 1000));
  EXPECT_FALSE(check_use(both, *IpAddress::parse("10.1.0.1"), 1001)) << "valid before 1001";
  EXPECT_EQ(merged(options_of(R"(expiry-time="20270101Z")"), certificate({}, {}))->expiry, 1798761600);
}

TEST(Merged, RefusesWhatItDoesNotKnow) {
  struct Row {
    Entries critical;
    std::string_view error;
  };
  const std::string other = "certificate's command is another than that of its authority's line";
  for (const Row& row :
       {Row{{{"force-command", text_content("a")}}, "none"},
        {{{"force-command", text_content("b")}}, other},
        {{{"force-command", {1}}}, "certificate's option force-command is malformed"},
        {{{"force-command", {0, 0, 0, 1, 'a', 0}}}, "certificate's option force-command is malformed"},
        {{{"verify-required", {}}}, "none"},
        {{{"verify-required", {1}}}, "certificate's option verify-required is malformed"},
        {{{"foo", {}}}, "certificate's critical option \"foo\" is not known"},
        {{{"permit-port-forwarding", {}}},
         "certificate's critical option \"permit-port-forwarding\" is not known"},
        {{{"source-address", {}}}, "certificate's option source-address is malformed"},
        {{{"source-address", text_content("")}}, "certificate's option source-address is malformed"},
        {{{"source-address", text_content("*")}}, "certificate's option source-address is malformed"},
        {{{"source-address", text_content("::1,!::2")}}, "certificate's option source-address is malformed"},
        {{{"source-address", text_content("name")}}, "certificate's option source-address is malformed"},
        {{{"source-address", text_content("::1")}, {"source-address", text_content("::2")}},
         "certificate has more than one option source-address"}}) {
    const auto both = merged(options_of(R"(command="a")"), certificate(row.critical, kForwarding));
    EXPECT_EQ(both ? "none" : both.error().message, row.error) << row.critical[0].first;
    if (!both) EXPECT_EQ(both.error().code, Errc::denied);
  }
  EXPECT_EQ(merged(options_of(""), certificate({{"force-command", text_content("b")}}, {}))->command, "b");
}

}  // namespace
}  // namespace culvert::files
