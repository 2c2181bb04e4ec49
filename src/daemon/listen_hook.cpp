// SPDX-License-Identifier: Apache-2.0
#include "daemon/listen_hook.hpp"

#include <unistd.h>

#include <utility>
#include <vector>

#include <fcntl.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/log.hpp"
#include "net/child.hpp"
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

// The command outlives us, if it likes: a farewell of 0 is none.
constexpr int kNoFarewell = 0;

boost::asio::awaitable<void> tell_end(net::Child command) {
  const auto status = co_await command.ended();
  if (!status) co_return;
  if (const auto good = net::judge_end(*status); !good)
    log(LogLevel::warning, "the command of --on-listen failed: {}", good.error().message);
}

}  // namespace

void run_listen_hook(const boost::asio::any_io_executor& executor, const std::string& command,
                     const relay::Endpoint& bound, const std::string& destination) {
  const net::UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  // What it prints belongs to people: standard error. A Ctrl-C is for us alone.
  auto shell = net::Child::start(executor,
                                 {.program = "/bin/sh",
                                  .words = {"sh", "-c", command},
                                  .input = nothing.get(),
                                  .output = STDERR_FILENO,
                                  .environment = environment_with(bound, destination),
                                  .is_apart = true},
                                 kNoFarewell);
  if (!shell) {
    log(LogLevel::warning, "--on-listen: cannot run /bin/sh: {}", shell.error().message);
    return;
  }
  boost::asio::co_spawn(executor, tell_end(*std::move(shell)), boost::asio::detached);
}

}  // namespace culvert::daemon
