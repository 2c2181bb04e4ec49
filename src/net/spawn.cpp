// SPDX-License-Identifier: Apache-2.0
#include "net/spawn.hpp"

#include <spawn.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

namespace culvert::net {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

Result<pid_t> spawn(Spawn what) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, what.input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, what.output, STDOUT_FILENO);
  if (what.is_apart) ::posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  ::posix_spawnattr_init(&attributes);
  int flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
  if (what.is_apart) flags |= POSIX_SPAWN_SETPGROUP;  // of number 0: a new one
  ::posix_spawnattr_setflags(&attributes, static_cast<short>(flags));
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  pid_t pid = 0;
  const int error =
      ::posix_spawnp(&pid, what.program.c_str(), &files, &attributes, pointers(what.words).data(),
                     what.environment.empty() ? ::environ : pointers(what.environment).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  if (error != 0) return fail(Errc::system, std::strerror(error), error);
  return pid;
}

std::vector<std::string> environment_without(std::string_view prefix) {
  std::vector<std::string> variables;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(prefix)) variables.emplace_back(*entry);
  }
  return variables;
}

}  // namespace culvert::net
