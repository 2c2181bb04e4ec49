// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"

namespace culvert::cli {

/// -f. The process forks before any thread exists. Its child does the work, at first in the foreground (it
/// may have to ask for a password); the parent waits until the child is ready, and leaves with 0, or with the
/// child's exit status if that ends before. A signal that is sent to the waiting parent is passed on.
class Background {
 public:
  /// Returns in the child alone.
  [[nodiscard]] static Result<Background> fork();

  Background(Background&& other) noexcept;
  Background& operator=(Background&&) = delete;
  ~Background();

  /// Leaves the terminal's session and its streams, and lets the parent go. Once.
  void ready();

 private:
  explicit Background(int to_parent) : to_parent_(to_parent) {}
  int to_parent_;
};

}  // namespace culvert::cli
