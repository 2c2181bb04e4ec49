// SPDX-License-Identifier: Apache-2.0
#include "net/command.hpp"

#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "net/unique_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

// The process, until it has been waited for. Its handler keeps it; `Hangup` is what the user of the socket
// holds.
struct Process : std::enable_shared_from_this<Process> {
  Process(const asio::any_io_executor& executor, pid_t number, int pidfd)
      : pid(number), ended(executor, pidfd) {}

  void wait() {
    ended.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](const boost::system::error_code&) {
                       int status = 0;
                       if (::waitpid(self->pid, &status, WNOHANG) == self->pid) self->ended.close();
                     });
  }

  const pid_t pid;
  asio::posix::stream_descriptor ended;
};

struct Hangup {
  explicit Hangup(std::weak_ptr<Process> of) : process(std::move(of)) {}
  Hangup(const Hangup&) = delete;
  Hangup& operator=(const Hangup&) = delete;
  ~Hangup() {
    const auto one = process.lock();
    if (one && one->ended.is_open())
      (void)::syscall(SYS_pidfd_send_signal, one->ended.native_handle(), SIGHUP, nullptr, 0);
  }
  std::weak_ptr<Process> process;
};

int spawn_shell(const std::string& command, int socket, pid_t& pid) {
  const char* wish = std::getenv("SHELL");
  std::string shell = wish != nullptr && wish[0] != '\0' ? wish : "/bin/sh";
  std::string option = "-c";
  std::string text = "exec " + command;
  char* const words[] = {shell.data(), option.data(), text.data(), nullptr};
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, socket, 0);
  ::posix_spawn_file_actions_adddup2(&files, socket, 1);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  const int error = ::posix_spawn(&pid, shell.c_str(), &files, &attributes, words, ::environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  return error;
}

}  // namespace

Result<Command> start_command(const asio::any_io_executor& executor, const std::string& command) {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair", errno);
  UniqueFd ours(ends[0]), theirs(ends[1]);
  pid_t pid = 0;
  if (const int error = spawn_shell(command, theirs.get(), pid); error != 0)
    return fail_errno("cannot run it", error);
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) return fail_errno("cannot watch it", errno);
  const auto process = std::make_shared<Process>(executor, pid, pidfd);
  process->wait();
  return Command{TRY(adopt(executor, ours.release())), std::make_shared<Hangup>(process)};
}

}  // namespace culvert::net
