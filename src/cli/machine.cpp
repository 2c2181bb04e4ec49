// SPDX-License-Identifier: Apache-2.0
#include "cli/machine.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "cli/values.hpp"
#include "net/local_networks.hpp"
#include "net/spawn.hpp"
#include "net/unique_fd.hpp"

namespace culvert::cli {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Addresses look_up(const std::string& name, int flags) {
  addrinfo hints{};
  hints.ai_flags = flags;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  return Addresses(::getaddrinfo(name.c_str(), nullptr, &hints, &list) == 0 ? list : nullptr);
}

}  // namespace

Result<bool> ThisMachine::succeeds(const std::string& command) {
  const net::UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (null.get() < 0) return fail_errno("cannot open /dev/null", errno);
  const char* shell = std::getenv("SHELL");
  if (shell == nullptr || *shell == '\0') shell = "/bin/sh";
  const auto pid = net::spawn(
      {.program = shell, .words = {shell, "-c", command}, .input = null.get(), .output = null.get()});
  if (!pid) return fail(Errc::system, "cannot run " + in_quotes(shell) + ": " + pid.error().message);
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0) {
    if (errno != EINTR) return fail_errno("cannot wait for " + in_quotes(command), errno);
  }
  // Neither true nor false: what stands behind the Match could be what keeps a connection safe.
  if (!WIFEXITED(status))
    return fail(Errc::system, fmt::format("{} was ended by signal {}", in_quotes(command), WTERMSIG(status)));
  return WEXITSTATUS(status) == 0;
}

Result<bool> ThisMachine::has_address_in(std::string_view networks) {
  return net::has_address_in(split(networks, ','));
}

std::optional<std::string> ThisMachine::canonical_name(const std::string& name) {
  const Addresses found = look_up(name, AI_CANONNAME);
  if (!found) return std::nullopt;
  std::string canonical = lower(found->ai_canonname == nullptr ? name.c_str() : found->ai_canonname);
  if (canonical.ends_with('.')) canonical.pop_back();
  return canonical;
}

std::optional<std::string> ThisMachine::canonical_address(const std::string& text) {
  const Addresses found = look_up(text, AI_NUMERICHOST);
  char name[NI_MAXHOST];
  if (!found ||
      ::getnameinfo(found->ai_addr, found->ai_addrlen, name, sizeof name, nullptr, 0, NI_NUMERICHOST) != 0)
    return std::nullopt;
  return name;
}

void ThisMachine::report(std::string_view error) { log(LogLevel::error, "{}", error); }

}  // namespace culvert::cli
