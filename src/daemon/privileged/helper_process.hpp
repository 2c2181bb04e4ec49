// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <utility>

#include "base/result.hpp"

namespace culvert::daemon {

/// A child of this process that keeps rights which this one gives up. It runs no other program.
class HelperProcess {
 public:
  /// `work` is called in the child, whose exit status it returns; what the parent holds the child has too.
  /// Signals of the terminal and of operators are for the parent. `name` is what ps(1) shows, at most 15
  /// bytes. Before threads exist. Errc::system.
  [[nodiscard]] static Result<HelperProcess> start(const char* name, const std::function<int()>& work);
  /// Waits for its end, for which there must be a reason by then.
  ~HelperProcess();
  HelperProcess(HelperProcess&& other) noexcept : process_(std::exchange(other.process_, -1)) {}
  HelperProcess& operator=(HelperProcess&&) = delete;

 private:
  explicit HelperProcess(pid_t process) : process_(process) {}
  pid_t process_;  // -1: moved from
};

}  // namespace culvert::daemon
