// SPDX-License-Identifier: Apache-2.0
// Scripts of answering the questions of a server (RFC 4256).
#include <gtest/gtest.h>

#include "tests/support/login_steps.hpp"

namespace culvert::ssh {
namespace {

using namespace test::login;  // NOLINT(google-build-using-namespace)
using test::Conversation;
using test::run_everywhere;

TEST(KeyboardInteractive, SeveralRoundsOfQuestions) {
  run_everywhere(Role::client, [](Conversation& c) {
    start(c);
    try_interactive(c);
    show(c, 2, {"Password: ", "Colour (echo)"});
    c.expect_event<PromptsShown>([](PromptsShown& e) {
      EXPECT_EQ(e.name, "name");
      EXPECT_EQ(e.instruction, "instruction");
      ASSERT_EQ(e.prompts.size(), 2u);
      EXPECT_EQ(e.prompts[0].text, "Password: ");
      EXPECT_FALSE(e.prompts[0].echo);
      EXPECT_TRUE(e.prompts[1].echo);
    });
    respond(c, {"secret", "blue"});
    show(c, 0, {});  // nothing to ask, but an answer is due (RFC 4256 section 3.2)
    expect_prompts(c, 0);
    respond(c, {});
    show(c, 1, {"Code: "});
    expect_prompts(c, 1);
    c.command([](Session& s) { s.answer_prompts({}); });  // not an answer to each: nothing happens
    c.expect_silence();
    respond(c, {""});
    refuse(c, "keyboard-interactive");
    expect_next(c, {"keyboard-interactive"});
    try_interactive(c);
    succeed(c);  // without a question
  });
}

TEST(KeyboardInteractive, QuestionsThatAreTakenBack) {
  run_everywhere(Role::client, [](Conversation& c) {
    start(c);
    try_interactive(c);
    show(c, 1, {"Password: "});
    expect_prompts(c, 1);
    refuse(c, "publickey");  // the server's own timeout, say
    expect_next(c, {"publickey"});
    c.command([](Session& s) { s.answer_prompts(std::vector<SecretBytes>(1)); });
    c.expect_silence();
    ask_key(c);
  });
}

TEST(KeyboardInteractive, TooManyQuestions) {
  run_everywhere(Role::client, [](Conversation& c) {
    start(c);
    try_interactive(c);
    show(c, 33, {});
    fails(c, Errc::limit, "too many questions");
  });
  test::run(Role::client, [](Conversation& c) {
    start(c);
    for (int attempt = 0; attempt < 2; ++attempt) {
      try_interactive(c);
      for (int round = 0; round < 32; ++round) {
        show(c, 1, {"Again: "});
        expect_prompts(c, 1);
        respond(c, {"x"});
      }
      if (attempt == 1) break;
      refuse(c, "keyboard-interactive");
      expect_next(c, {"keyboard-interactive"});
    }
    show(c, 0, {});
    fails(c, Errc::limit, "too many questions");
  });
}

TEST(KeyboardInteractive, MalformedQuestions) {
  const auto malformed = [](std::uint32_t count, std::initializer_list<std::string_view> texts) {
    test::run(Role::client, [&](Conversation& c) {
      start(c);
      try_interactive(c);
      show(c, count, texts);
      fails(c, Errc::malformed, "");
    });
  };
  malformed(1, {});
  malformed(1, {"one", "two"});
  malformed(32, {"one"});
}

}  // namespace
}  // namespace culvert::ssh
