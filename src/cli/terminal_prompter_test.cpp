// SPDX-License-Identifier: Apache-2.0
// A process with a terminal of its own asks; the test holds the other end of the terminal.
#include "cli/terminal_prompter.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <optional>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

namespace culvert::cli {
namespace {

namespace asio = boost::asio;

// In the child: asks once and leaves with a status that says what came of it.
[[noreturn]] void ask_and_exit(bool echo, std::string_view expected) {
  asio::io_context io;
  TerminalPrompter prompter(true);
  std::optional<Result<SecretBytes>> answer;
  if (!prompter.available()) ::_exit(10);
  asio::co_spawn(
      io, [&]() -> relay::Task<void> { answer = co_await prompter.ask("Password: ", echo); }, asio::detached);
  io.run();
  if (!answer) ::_exit(11);
  if (!*answer) ::_exit(answer->error().code == Errc::cancelled ? 20 : 21);
  ::_exit((*answer)->text() == expected ? 0 : 12);
}

class Terminal {
 public:
  Terminal(bool echo, std::string_view expected) {
    child_ = ::forkpty(&master_, nullptr, nullptr, nullptr);
    if (child_ == 0) ask_and_exit(echo, expected);
    EXPECT_GT(child_, 0);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() { ::close(master_); }

  // All that the terminal shows until `text` is in it.
  std::string read_until(std::string_view text) {
    while (seen_.find(text) == std::string::npos) {
      pollfd waiting = {master_, POLLIN, 0};
      if (::poll(&waiting, 1, 30'000) != 1) break;
      char buffer[256];
      const ssize_t got = ::read(master_, buffer, sizeof buffer);
      if (got <= 0) break;
      seen_.append(buffer, static_cast<std::size_t>(got));
    }
    return seen_;
  }
  void type(std::string_view text) {
    EXPECT_EQ(::write(master_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  [[nodiscard]] bool shows_typing() const {
    termios mode{};
    ::tcgetattr(master_, &mode);
    return (mode.c_lflag & ECHO) != 0;
  }
  int status() {
    int status = 0;
    ::waitpid(child_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  int master_ = -1;
  pid_t child_ = -1;
  std::string seen_;
};

TEST(TerminalPrompter, ASecretIsReadAndNotShown) {
  Terminal terminal(false, "open sesame");
  terminal.read_until("Password: ");
  EXPECT_FALSE(terminal.shows_typing());
  terminal.type("open sesame\n");
  EXPECT_EQ(terminal.read_until("\r\n"), "Password: \r\n");
  EXPECT_EQ(terminal.status(), 0);
  EXPECT_TRUE(terminal.shows_typing());
}

TEST(TerminalPrompter, AnAnswerWithEchoIsShown) {
  Terminal terminal(true, "yes");
  terminal.read_until("Password: ");
  terminal.type("yes\n");
  EXPECT_EQ(terminal.read_until("yes\r\n"), "Password: yes\r\n");
  EXPECT_EQ(terminal.status(), 0);
}

TEST(TerminalPrompter, TheEndOfInputGivesUpAndRestores) {
  Terminal terminal(false, "");
  terminal.read_until("Password: ");
  terminal.type("\x04");
  EXPECT_EQ(terminal.status(), 20);
  EXPECT_TRUE(terminal.shows_typing());
}

TEST(TerminalPrompter, AnEmptyAnswerIsAnAnswer) {
  Terminal terminal(false, "");
  terminal.read_until("Password: ");
  terminal.type("\n");
  EXPECT_EQ(terminal.status(), 0);
}

TEST(TerminalPrompter, NobodyIsAskedInBatches) {
  TerminalPrompter prompter(false);
  EXPECT_FALSE(prompter.available());
  asio::io_context io;
  std::optional<Result<SecretBytes>> answer;
  asio::co_spawn(
      io, [&]() -> relay::Task<void> { answer = co_await prompter.ask("Password: ", false); },
      asio::detached);
  io.run();
  ASSERT_TRUE(answer && !*answer);
  EXPECT_EQ(answer->error().code, Errc::not_found);
}

}  // namespace
}  // namespace culvert::cli
