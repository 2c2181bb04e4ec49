// SPDX-License-Identifier: Apache-2.0
#include "net/command.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include <sys/socket.h>

#include "net/child_process.hpp"
#include "net/spawn.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

// What the user of the socket holds.
struct Hangup {
  explicit Hangup(std::weak_ptr<ChildProcess> of) : process(std::move(of)) {}
  Hangup(const Hangup&) = delete;
  Hangup& operator=(const Hangup&) = delete;
  ~Hangup() {
    if (const auto one = process.lock()) one->signal(SIGHUP);
  }
  std::weak_ptr<ChildProcess> process;
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
  const auto process = TRY(ChildProcess::watch(executor, *pid));
  return Command{TRY(adopt(executor, ours.release())), std::make_shared<Hangup>(process)};
}

}  // namespace culvert::net
