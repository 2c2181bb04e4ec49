// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sched.h>

#include <functional>
#include <thread>

#include <gtest/gtest.h>

namespace culvert::testing {

/// Runs `test` in a network namespace of its own, where it may have one (as root): in a thread, since a
/// thread is in a namespace for itself. Programs that it starts are in there, too.
inline void in_namespace(const std::function<void()>& test) {
  bool is_alone = false;
  std::thread([&] {
    is_alone = ::unshare(CLONE_NEWNET) == 0;
    if (is_alone) test();
  }).join();
  if (!is_alone) GTEST_SKIP() << "needs root";
}

}  // namespace culvert::testing
