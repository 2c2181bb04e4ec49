// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string_view>
#include <vector>

namespace culvert::load {

/// The processor time of some programs: of each process with all its threads, of what it has started, and of
/// what that was and has been waited for (counted in the ticks of /proc/PID/stat, all else in nanoseconds).
class CpuTime {
 public:
  /// "1234" or "1234,5678"; "0" and "" stand for nothing.
  explicit CpuTime(std::string_view pids);

  /// User and system time so far, in seconds. Ends the program when one of them is gone.
  [[nodiscard]] double seconds() const;

 private:
  std::vector<pid_t> roots_;
};

}  // namespace culvert::load
