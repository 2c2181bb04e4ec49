// SPDX-License-Identifier: Apache-2.0
// may_listen() of access_rules.hpp.
#include <string_view>

#include <gtest/gtest.h>

#include "files/access_rules.hpp"
#include "tests/support/grants.hpp"

namespace culvert::files {
namespace {

using test::answer;
using test::listening;
using test::permitted;
using test::RuleTexts;

TEST(MayListen, ByTheRules) {
  struct Row {
    RuleTexts rules;
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

}  // namespace
}  // namespace culvert::files
