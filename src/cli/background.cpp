// SPDX-License-Identifier: Apache-2.0
#include "cli/background.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "cli/exit_status.hpp"
#include "cli/process.hpp"

namespace culvert::cli {
namespace {

volatile pid_t working_child = 0;

// Ctrl-C reaches the child by itself, being in the same group; a kill(2) of the parent alone does not.
void pass_on(int signal, siginfo_t* info, void*) {
  const int saved = errno;
  if (info->si_code <= 0 && working_child > 0) ::kill(working_child, signal);
  errno = saved;
}

[[noreturn]] void wait_for(pid_t child, int from_child) {
  char word = 0;
  ssize_t got = 0;
  do {
    got = ::read(from_child, &word, 1);
  } while (got < 0 && errno == EINTR);
  if (got == 1) ::_exit(kDone);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) ::_exit(kFailed);
  }
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : kSignalBase + WTERMSIG(status));
}

}  // namespace

Result<Background> Background::fork() {
  constexpr int kStopSignals[] = {SIGINT, SIGTERM, SIGHUP};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("cannot make a pipe", errno);
  // Signals wait until the parent knows whom to pass them on to.
  sigset_t stop_signals, before;
  sigemptyset(&stop_signals);
  for (const int signal : kStopSignals) sigaddset(&stop_signals, signal);
  ::sigprocmask(SIG_BLOCK, &stop_signals, &before);
  const pid_t child = ::fork();
  const int error = errno;
  if (child == 0) {
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::close(ends[0]);
    return Background(ends[1]);
  }
  ::close(ends[1]);
  if (child < 0) {
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::close(ends[0]);
    return fail_errno("cannot go to the background", error);
  }
  working_child = child;
  for (const int signal : kStopSignals) {
    struct sigaction action{};
    struct sigaction inherited{};
    ::sigaction(signal, nullptr, &inherited);
    if (inherited.sa_handler == SIG_IGN) continue;
    action.sa_sigaction = pass_on;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(signal, &action, nullptr);
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  wait_for(child, ends[0]);
}

Background::Background(Background&& other) noexcept : to_parent_(std::exchange(other.to_parent_, -1)) {}

Background::~Background() {
  if (to_parent_ >= 0) ::close(to_parent_);
}

void Background::ready() {
  ::setsid();
  drop_standard_streams();
  const char word = 'r';
  [[maybe_unused]] const ssize_t sent =
      ::write(to_parent_, &word, 1);  // a parent that is gone waits for nothing
  ::close(std::exchange(to_parent_, -1));
}

}  // namespace culvert::cli
