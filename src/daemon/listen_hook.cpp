// SPDX-License-Identifier: Apache-2.0
#include "daemon/listen_hook.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string_view>
#include <vector>

#include <fcntl.h>

#include "base/log.hpp"

namespace culvert::daemon {
namespace {

std::vector<std::string> environment_with(const relay::Endpoint& bound, const std::string& destination) {
  std::vector<std::string> variables;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("CULVERT_LISTEN_")) variables.emplace_back(*entry);
  }
  if (const auto* place = std::get_if<relay::HostPort>(&bound)) {
    variables.push_back("CULVERT_LISTEN_HOST=" + place->host);
    variables.push_back("CULVERT_LISTEN_PORT=" + std::to_string(place->port));
  } else {
    variables.push_back("CULVERT_LISTEN_PATH=" + std::get<relay::UnixPath>(bound).path);
  }
  variables.push_back("CULVERT_DESTINATION=" + destination);
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

void run_listen_hook(const std::string& command, const relay::Endpoint& bound,
                     const std::string& destination) {
  // The shell leaves at once, so that there is nobody to wait for; the command is init's child then.
  std::vector<std::string> words = {"sh", "-c", "(" + command + "\n) &"};
  std::vector<std::string> variables = environment_with(bound, destination);
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, 2, 1);  // what it prints belongs to people
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  pid_t shell = 0;
  const int error = ::posix_spawn(&shell, "/bin/sh", &files, &attributes, pointers(words).data(),
                                  pointers(variables).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    log(LogLevel::warning, "--on-listen: cannot run /bin/sh: {}", std::strerror(error));
    return;
  }
  int status = 0;
  while (::waitpid(shell, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    log(LogLevel::warning, "--on-listen: the shell cannot run the command");
}

}  // namespace culvert::daemon
