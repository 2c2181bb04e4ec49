// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal_prompter.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string_view>

#include <boost/asio/this_coro.hpp>

#include "net/unique_fd.hpp"
#include "net/watched_fd.hpp"

namespace culvert::cli {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kMaxLine = 4096;  // what the kernel's line editing holds (termios(3), N_TTY)

int open_terminal() { return ::open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC); }

// For restore_terminal(): there is one terminal, and one question at a time.
volatile sig_atomic_t hidden_fd = -1;
termios mode_before;

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::write(fd, text.data(), text.size());
    if (sent > 0) {
      text.remove_prefix(static_cast<std::size_t>(sent));
    } else if (sent < 0 && errno == EAGAIN) {
      pollfd waiting = {fd, POLLOUT, 0};
      ::poll(&waiting, 1, 1000);
    } else if (sent < 0 && errno != EINTR) {
      return;
    }
  }
}

// While it lives, the terminal shows nothing of what is typed.
class Hidden {
 public:
  explicit Hidden(int fd) : fd_(fd) {
    if (::tcgetattr(fd, &mode_before) != 0) return;
    termios mode = mode_before;
    mode.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHOE | ECHOK | ECHONL);
    // Stopping or killing us from the keyboard would leave the shell without echo. Ctrl-C stays: we hear it.
    mode.c_cc[VSUSP] = _POSIX_VDISABLE;
    mode.c_cc[VQUIT] = _POSIX_VDISABLE;
    hidden_fd = fd;
    active_ = ::tcsetattr(fd, TCSAFLUSH, &mode) == 0;
  }
  Hidden(const Hidden&) = delete;
  Hidden& operator=(const Hidden&) = delete;
  ~Hidden() {
    restore_terminal();
    if (active_) write_all(fd_, "\n");
  }

 private:
  int fd_;
  bool active_ = false;
};

}  // namespace

bool TerminalPrompter::available() const {
  if (!may_ask_) return false;
  const int fd = open_terminal();
  if (fd < 0) return false;
  ::close(fd);
  return true;
}

relay::Task<Result<SecretBytes>> TerminalPrompter::ask(std::string text, bool echo) {
  const int fd = may_ask_ ? open_terminal() : -1;
  if (fd < 0) co_return fail(Errc::not_found, "there is no terminal to ask on");
  auto terminal = CO_TRY(net::WatchedFd::watch(co_await asio::this_coro::executor, net::UniqueFd(fd)));
  std::optional<Hidden> hidden;
  if (!echo) hidden.emplace(fd);
  write_all(fd, text);

  SecretBytes line(kMaxLine);
  std::size_t size = 0;
  for (;;) {
    const ssize_t got = ::read(fd, line.data() + size, line.size() - size);
    if (got > 0) {
      size += static_cast<std::size_t>(got);
      if (line.data()[size - 1] == '\n') break;
      if (size == line.size()) co_return fail(Errc::limit, "the line is too long");
    } else if (got == 0) {
      co_return fail(Errc::cancelled, "nothing was entered");
    } else if (errno == EAGAIN) {
      if (!co_await terminal.wait_readable()) co_return fail(Errc::cancelled, "the question was withdrawn");
    } else if (errno != EINTR) {
      co_return fail_errno("cannot read from the terminal", errno);
    }
  }
  --size;
  if (size > 0 && line.data()[size - 1] == '\r') --size;
  co_return SecretBytes(line.view().first(size));
}

void restore_terminal() {
  const int fd = hidden_fd;
  if (fd < 0) return;
  ::tcsetattr(fd, TCSANOW, &mode_before);
  hidden_fd = -1;
}

}  // namespace culvert::cli
