// SPDX-License-Identifier: Apache-2.0
#include "load/cpu.hpp"

#include <fmt/core.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "load/tool.hpp"

namespace culvert::load {
namespace {

std::optional<double> of_process(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return std::nullopt;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double of_ended_children(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  for (int i = 0; i < 13; ++i) fields >> skipped;  // state ... stime (proc(5), fields 3 to 15)
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double with_descendants(pid_t pid) {
  double sum = of_process(pid).value_or(0) + of_ended_children(pid);
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid), error)) {
    std::ifstream children(task.path() / "children");
    for (pid_t child = 0; children >> child;) sum += with_descendants(child);
  }
  return sum;
}

}  // namespace

CpuTime::CpuTime(std::string_view pids) {
  for (const char* at = pids.begin(); at != pids.end();) {
    pid_t pid = 0;
    const auto [rest, error] = std::from_chars(at, pids.end(), pid);
    if (error != std::errc() || pid < 0 || (rest != pids.end() && *rest != ','))
      die(fmt::format("'{}' is not a list of process ids", pids));
    if (pid != 0) roots_.push_back(pid);
    at = rest == pids.end() ? rest : rest + 1;
  }
}

double CpuTime::seconds() const {
  double sum = 0;
  for (const pid_t pid : roots_) {
    if (!of_process(pid)) die(fmt::format("process {} is gone", pid));
    sum += with_descendants(pid);
  }
  return sum;
}

}  // namespace culvert::load
