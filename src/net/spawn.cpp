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
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, what.program.c_str(), &files, &attributes, pointers(what.words).data(),
                    what.environment.empty() ? ::environ : pointers(what.environment).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  if (error != 0) return fail(Errc::system, std::strerror(error), error);
  return pid;
}

}  // namespace culvert::net
