// SPDX-License-Identifier: Apache-2.0
#include "net/command.hpp"

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

#include "net/spawn.hpp"
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

Result<pid_t> spawn_shell(const std::string& command, int socket) {
  const char* wish = std::getenv("SHELL");
  const std::string shell = wish != nullptr && wish[0] != '\0' ? wish : "/bin/sh";
  return spawn(
      {.program = shell, .words = {shell, "-c", "exec " + command}, .input = socket, .output = socket});
}

}  // namespace

Result<Command> start_command(const asio::any_io_executor& executor, const std::string& command) {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair", errno);
  UniqueFd ours(ends[0]), theirs(ends[1]);
  const auto pid = spawn_shell(command, theirs.get());
  if (!pid) return fail_errno("cannot run it", static_cast<int>(pid.error().detail));
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0));
  if (pidfd < 0) return fail_errno("cannot watch it", errno);
  const auto process = std::make_shared<Process>(executor, *pid, pidfd);
  process->wait();
  return Command{TRY(adopt(executor, ours.release())), std::make_shared<Hangup>(process)};
}

}  // namespace culvert::net
