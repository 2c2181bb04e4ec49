// SPDX-License-Identifier: Apache-2.0
#include "cli/environment.hpp"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

namespace culvert::cli {

Environment read_environment() {
  Environment environment;
  environment.uid = std::to_string(::getuid());
  if (const passwd* entry = ::getpwuid(::getuid())) {
    environment.user = entry->pw_name;
    environment.home = entry->pw_dir;
  }
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') environment.home = home;
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) == 0) environment.host_name = name;
  if (const char* agent = std::getenv("SSH_AUTH_SOCK")) environment.agent_socket = agent;
  return environment;
}

}  // namespace culvert::cli
