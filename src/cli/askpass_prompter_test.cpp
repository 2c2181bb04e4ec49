// SPDX-License-Identifier: Apache-2.0
#include "cli/askpass_prompter.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "net/unique_fd.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/temp_dir.hpp"

namespace culvert::cli {
namespace {

using testing::run;

class AskpassPrompterTest : public ::testing::Test {
 protected:
  // A program that does `commands`.
  std::string program(const std::string& commands) {
    const std::string path = in_folder("askpass");
    std::ofstream(path) << "#!/bin/sh\n" << commands << "\n";
    ::chmod(path.c_str(), 0700);
    return path;
  }
  std::string in_folder(const std::string& name) const { return (dir_.path() / name).string(); }
  std::string content(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(in_folder(name)).rdbuf();
    return text.str();
  }
  Result<SecretBytes> ask(const std::string& commands, const std::string& question = "Password: ") {
    AskpassPrompter prompter(program(commands));
    return run(io_, prompter.ask(question, false));
  }
  bool confirm(const std::string& commands) {
    AskpassPrompter prompter(program(commands));
    return run(io_, prompter.confirm("Sure?"));
  }

  testing::TempDir dir_;
  boost::asio::io_context io_;
};

TEST_F(AskpassPrompterTest, TheFirstLineIsTheAnswer) {
  for (const auto* printed : {"open sesame", R"(open sesame\n)", R"(open sesame\r\nmore\n)"}) {
    const auto answer = ask(std::string("printf '") + printed + "'");
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->text(), "open sesame") << printed;
  }
  const auto nothing = ask("exit 0");
  ASSERT_TRUE(nothing);
  EXPECT_TRUE(nothing->empty());
}

TEST_F(AskpassPrompterTest, WhatTheProgramIsGiven) {
  ::setenv("SSH_ASKPASS_PROMPT", "none", 1);
  const net::UniqueFd ours(::dup(STDERR_FILENO));  // without close-on-exec
  const auto answer =
      ask("printf '%s' \"$1\" >" + in_folder("question") + "; cat >" + in_folder("input") +
              "; echo \"$# <$SSH_ASKPASS_PROMPT>\"; test ! -e /proc/$$/fd/" + std::to_string(ours.get()),
          "two lines\nand $HOME 'quoted': ");
  ::unsetenv("SSH_ASKPASS_PROMPT");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->text(), "1 <>");
  EXPECT_EQ(content("question"), "two lines\nand $HOME 'quoted': ");
  EXPECT_EQ(content("input"), "");
}

TEST_F(AskpassPrompterTest, AProgramThatFailsGivesNoAnswer) {
  auto answer = ask("echo secret; exit 3");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::cancelled);
  EXPECT_NE(answer.error().message.find("status 3"), std::string::npos) << answer.error().message;
  answer = ask("echo secret; kill -TERM $$");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::cancelled);
  EXPECT_NE(answer.error().message.find("signal 15"), std::string::npos) << answer.error().message;
}

TEST_F(AskpassPrompterTest, WhatItPrintsIsBounded) {
  const auto answer = ask("exec yes");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::limit);
}

TEST_F(AskpassPrompterTest, AProgramThatIsNotThereIsNotTriedAgain) {
  AskpassPrompter prompter(in_folder("missing"));
  EXPECT_TRUE(prompter.available());
  const auto answer = run(io_, prompter.ask("Password: ", false));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::usage);
  EXPECT_NE(answer.error().message.find("missing: No such file"), std::string::npos);
  EXPECT_FALSE(prompter.available());
}

TEST_F(AskpassPrompterTest, AConfirmationIsTheExitStatus) {
  EXPECT_TRUE(confirm("test \"$1 $SSH_ASKPASS_PROMPT\" = 'Sure? confirm'"));
  EXPECT_FALSE(confirm("exit 1"));
  EXPECT_TRUE(confirm("echo Yes"));
  EXPECT_FALSE(confirm("echo no"));
  EXPECT_FALSE(confirm("echo yes; exit 1"));
}

TEST_F(AskpassPrompterTest, AQuestionThatIsWithdrawnEndsAllOfTheProgram) {
  const std::string fifo = in_folder("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const net::UniqueFd ours(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const auto wait_for_it = [&] {
    pollfd waiting = {ours.get(), POLLIN, 0};
    return ::poll(&waiting, 1, 30'000) == 1;
  };
  // Both, the shell and what it waits for, have the other end; it is closed when neither lives.
  AskpassPrompter prompter(program("exec 3>" + fifo + "; echo $$ >&3; sleep 60; :"));
  auto asking = testing::start(io_, prompter.ask("Password: ", false));
  io_.poll();
  ASSERT_TRUE(wait_for_it());
  char text[16] = {};
  ASSERT_GT(::read(ours.get(), text, sizeof text - 1), 0);
  const pid_t pid = std::atoi(text);

  asking.cancel();
  const auto answer = asking.wait();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::cancelled);
  ASSERT_TRUE(wait_for_it());
  EXPECT_EQ(::read(ours.get(), text, sizeof text), 0);
  testing::run_until(io_, [&] { return ::kill(pid, 0) != 0 && errno == ESRCH; });
}

}  // namespace
}  // namespace culvert::cli
