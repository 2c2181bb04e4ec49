// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileged/helper_process.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

namespace culvert::daemon {

Result<HelperProcess> HelperProcess::start(const char* name, const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(fmt::format("cannot start {}", name), errno);
  if (child > 0) return HelperProcess(child);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1}) ::signal(number, SIG_IGN);
  ::prctl(PR_SET_NAME, name, 0, 0, 0);
  int status = 1;
  try {
    status = work();
  } catch (...) {  // what stands above this call is the parent's
  }
  ::_exit(status);
}

HelperProcess::~HelperProcess() {
  if (process_ < 0) return;
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace culvert::daemon
