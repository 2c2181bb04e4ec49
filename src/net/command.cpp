// SPDX-License-Identifier: Apache-2.0
#include "net/command.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include <sys/socket.h>

#include "net/unique_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;

Result<Command> start_command(const asio::any_io_executor& executor, const std::string& command) {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair", errno);
  UniqueFd ours(ends[0]), theirs(ends[1]);
  const char* wish = std::getenv("SHELL");
  const std::string shell = wish != nullptr && wish[0] != '\0' ? wish : "/bin/sh";
  auto child = Child::start(executor,
                            {.program = shell,
                             .words = {shell, "-c", "exec " + command},
                             .input = theirs.get(),
                             .output = theirs.get()},
                            SIGHUP);
  if (!child) return fail_errno("cannot run it", static_cast<int>(child.error().detail));
  return Command{TRY(adopt(executor, ours.release())), std::make_shared<const Child>(std::move(*child))};
}

}  // namespace culvert::net
