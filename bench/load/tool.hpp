// SPDX-License-Identifier: Apache-2.0
// What the subcommands of the load generator share: options, clock, endings. A failure of a tool is a line
// and status 1.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace culvert::load {

/// Prints "culvert-load: TEXT" and ends the process with status 1.
[[noreturn]] void die(std::string_view text);
/// The same with strerror(errno) behind it.
[[noreturn]] void die_errno(std::string_view what);

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

[[nodiscard]] inline Clock::time_point after(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(Seconds(seconds));
}
[[nodiscard]] inline double seconds_since(Clock::time_point start) {
  return Seconds(Clock::now() - start).count();
}
/// Milliseconds until `deadline` for poll(), rounded up; 0 when it has passed.
[[nodiscard]] int poll_timeout(Clock::time_point deadline);

/// "--name value", "--flag", and what follows "--". Unknown names end the program in finish().
class Options {
 public:
  Options(int argc, char** argv, int first);

  [[nodiscard]] std::string text(std::string_view name);
  [[nodiscard]] std::string text(std::string_view name, std::string_view otherwise);
  [[nodiscard]] std::int64_t number(std::string_view name, std::int64_t otherwise);
  [[nodiscard]] double real(std::string_view name, double otherwise);
  [[nodiscard]] bool flag(std::string_view name);
  [[nodiscard]] const std::vector<std::string>& rest() const { return rest_; }
  void finish() const;

 private:
  struct Value {
    std::string text;
    bool used = false;
  };
  [[nodiscard]] Value* find(std::string_view name);

  std::map<std::string, Value, std::less<>> values_;
  std::vector<std::string> rest_;
};

/// The value below which `fraction` (0 to 1) of the sorted `values` lie; 0 if there are none.
[[nodiscard]] double percentile(const std::vector<double>& sorted, double fraction);

// The subcommands. Each reads its options, does its work, prints one line of JSON and returns the exit
// status.
int serve(Options& options);
int throughput(Options& options);
int latency(Options& options);
int connections(Options& options);
int echoes(Options& options);
int goodput(Options& options);
int idle(Options& options);
int first_byte(Options& options);
int link(Options& options);

}  // namespace culvert::load
