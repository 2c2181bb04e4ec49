// SPDX-License-Identifier: Apache-2.0
#include "cli/prompt_choice.hpp"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/run_task.hpp"

namespace culvert::cli {
namespace {

using enum AskWhere;
using Require = AskpassEnvironment::Require;

TEST(PromptChoice, IsThatOfSsh) {
  struct Row {
    Require require;
    bool has_display;
    bool has_terminal;
    AskWhere expected;
  };
  const Row rows[] = {
      {Require::unset, false, false, nowhere},    {Require::unset, false, true, on_terminal},
      {Require::unset, true, false, by_askpass},  {Require::unset, true, true, on_terminal},
      {Require::never, false, false, nowhere},    {Require::never, false, true, on_terminal},
      {Require::never, true, false, nowhere},     {Require::never, true, true, on_terminal},
      {Require::prefer, false, false, nowhere},   {Require::prefer, false, true, on_terminal},
      {Require::prefer, true, false, by_askpass}, {Require::prefer, true, true, by_askpass},
      {Require::force, false, false, by_askpass}, {Require::force, false, true, by_askpass},
      {Require::force, true, false, by_askpass},  {Require::force, true, true, by_askpass},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(choose({"askpass", row.require, row.has_display}, row.has_terminal), row.expected)
        << static_cast<int>(row.require) << row.has_display << row.has_terminal;
    EXPECT_EQ(choose({"", row.require, row.has_display}, row.has_terminal),
              row.has_terminal ? on_terminal : nowhere);
  }
}

class AskpassEnvironmentTest : public ::testing::Test {
 protected:
  AskpassEnvironmentTest() { clear(); }
  ~AskpassEnvironmentTest() override { clear(); }

  static void clear() {
    for (const auto* name : {"SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "WAYLAND_DISPLAY"})
      ::unsetenv(name);
  }
};

TEST_F(AskpassEnvironmentTest, Unset) {
  const auto environment = read_askpass_environment();
  EXPECT_EQ(environment.program, "/usr/bin/ssh-askpass");
  EXPECT_EQ(environment.require, Require::unset);
  EXPECT_FALSE(environment.has_display);
}

TEST_F(AskpassEnvironmentTest, Set) {
  ::setenv("SSH_ASKPASS", "ask", 1);
  ::setenv("SSH_ASKPASS_REQUIRE", "Force", 1);
  ::setenv("DISPLAY", "", 1);
  EXPECT_EQ(read_askpass_environment().program, "ask");
  EXPECT_EQ(read_askpass_environment().require, Require::force);
  EXPECT_FALSE(read_askpass_environment().has_display);
  for (const auto* name : {"DISPLAY", "WAYLAND_DISPLAY"}) {
    clear();
    ::setenv("SSH_ASKPASS", "", 1);
    ::setenv("SSH_ASKPASS_REQUIRE", "sometimes", 1);
    ::setenv(name, ":0", 1);
    EXPECT_EQ(read_askpass_environment().program, "");
    EXPECT_EQ(read_askpass_environment().require, Require::unset);
    EXPECT_TRUE(read_askpass_environment().has_display);
  }
}

TEST(ChoosingPrompter, AsksByTheProgram) {
  boost::asio::io_context io;
  ChoosingPrompter prompter(true, {"echo", Require::force, false});
  EXPECT_TRUE(prompter.available());
  const auto answer = testing::run(io, prompter.ask("secret", false));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->text(), "secret");
  EXPECT_FALSE(testing::run(io, prompter.confirm("no")));
}

TEST(ChoosingPrompter, ConfirmationsAreForTheProgramAlone) {
  boost::asio::io_context io;
  const auto confirms = [&io](const char* program, Require require, bool has_display) {
    ChoosingPrompter prompter(true, {program, require, has_display});
    return testing::run(io, prompter.confirm("sure?"));
  };
  for (const auto require : {Require::unset, Require::prefer, Require::force}) {
    EXPECT_TRUE(confirms("true", require, true));
    EXPECT_FALSE(confirms("false", require, true));
    EXPECT_EQ(confirms("true", require, false), require == Require::force);
    EXPECT_FALSE(confirms("", require, true));
  }
  EXPECT_FALSE(confirms("true", Require::never, true));
}

TEST(ChoosingPrompter, NobodyIsAskedInBatches) {
  boost::asio::io_context io;
  ChoosingPrompter prompter(false, {"echo", Require::force, false});
  EXPECT_FALSE(prompter.available());
  const auto answer = testing::run(io, prompter.ask("secret", false));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::not_found);
  EXPECT_FALSE(testing::run(io, prompter.confirm("yes")));
}

}  // namespace
}  // namespace culvert::cli
