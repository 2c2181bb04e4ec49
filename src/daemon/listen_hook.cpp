// SPDX-License-Identifier: Apache-2.0
#include "daemon/listen_hook.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include <fcntl.h>

#include "base/log.hpp"
#include "net/spawn.hpp"
#include "net/unique_fd.hpp"

namespace culvert::daemon {
namespace {

std::vector<std::string> environment_with(const relay::Endpoint& bound, const std::string& destination) {
  std::vector<std::string> variables = net::environment_without("CULVERT_LISTEN_");
  if (const auto* place = std::get_if<relay::HostPort>(&bound)) {
    variables.push_back("CULVERT_LISTEN_HOST=" + place->host);
    variables.push_back("CULVERT_LISTEN_PORT=" + std::to_string(place->port));
  } else {
    variables.push_back("CULVERT_LISTEN_PATH=" + std::get<relay::UnixPath>(bound).path);
  }
  variables.push_back("CULVERT_DESTINATION=" + destination);
  return variables;
}

}  // namespace

void run_listen_hook(const std::string& command, const relay::Endpoint& bound,
                     const std::string& destination) {
  const net::UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  // The shell leaves at once, so that there is nobody to wait for; the command is init's child then. What it
  // prints belongs to people: standard error.
  const auto shell = net::spawn({.program = "/bin/sh",
                                 .words = {"sh", "-c", "(" + command + "\n) &"},
                                 .input = nothing.get(),
                                 .output = STDERR_FILENO,
                                 .environment = environment_with(bound, destination)});
  if (!shell) {
    log(LogLevel::warning, "--on-listen: cannot run /bin/sh: {}", shell.error().message);
    return;
  }
  int status = 0;
  while (::waitpid(*shell, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    log(LogLevel::warning, "--on-listen: the shell cannot run the command");
}

}  // namespace culvert::daemon
