// SPDX-License-Identifier: Apache-2.0
// How long a program takes from its start until the first byte has come back through the port that it
// forwards.
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "load/socket.hpp"
#include "load/tool.hpp"

namespace culvert::load {
namespace {

constexpr auto kTryEvery = std::chrono::microseconds(200);

pid_t start(const std::vector<std::string>& command, bool verbose) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));  // NOLINT
  words.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) die_errno("fork");
  if (pid > 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ::dup2(null, STDIN_FILENO);
  ::dup2(null, STDOUT_FILENO);
  if (!verbose) ::dup2(null, STDERR_FILENO);
  ::execvp(words[0], words.data());
  ::_exit(127);
}

void stop(pid_t pid) {
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

/// True once a byte has come back; false when the port refuses.
bool try_once(const Address& to, Clock::time_point deadline) {
  const Fd fd = start_connect(to);
  if (!fd.is_open()) return false;
  pollfd wait{fd.get(), POLLOUT, 0};
  std::uint8_t byte = 0x21;
  if (::poll(&wait, 1, poll_timeout(deadline)) != 1 || (wait.revents & POLLOUT) == 0) return false;
  if (::send(fd.get(), &byte, 1, MSG_NOSIGNAL) != 1) return false;
  wait.events = POLLIN;
  return ::poll(&wait, 1, poll_timeout(deadline)) == 1 && ::recv(fd.get(), &byte, 1, 0) == 1;
}

double measure(const std::vector<std::string>& command, const Address& to, double seconds, bool verbose) {
  const Clock::time_point begin = Clock::now();
  const Clock::time_point deadline = after(seconds);
  const pid_t pid = start(command, verbose);
  while (!try_once(to, deadline)) {
    if (::waitpid(pid, nullptr, WNOHANG) != 0) die("the program ended before a byte came through");
    if (Clock::now() >= deadline) {
      stop(pid);
      die("no byte came through within the time");
    }
    std::this_thread::sleep_for(kTryEvery);
  }
  const double took = seconds_since(begin) * 1e3;
  stop(pid);
  return took;
}

}  // namespace

int first_byte(Options& options) {
  const Address to = parse_address(options.text("to"));
  const std::int64_t count = std::clamp<std::int64_t>(options.number("count", 1), 1, 10'000);
  const double seconds = options.real("seconds", 20);
  const bool verbose = options.flag("verbose");
  options.finish();
  if (options.rest().empty()) die("first-byte: what to run goes behind --");
  if (try_once(to, after(1))) die("something forwards that port already");
  std::vector<double> times;
  for (std::int64_t i = 0; i < count; ++i) times.push_back(measure(options.rest(), to, seconds, verbose));
  std::sort(times.begin(), times.end());
  fmt::print("{{\"p50_ms\": {:.3f}, \"min_ms\": {:.3f}, \"max_ms\": {:.3f}, \"count\": {}}}\n",
             percentile(times, 0.5), times.front(), times.back(), times.size());
  return 0;
}

}  // namespace culvert::load
