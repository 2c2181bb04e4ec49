// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace culvert {

/// Prints where and what, then aborts the process: the state that other connections rely on is not to be
/// trusted.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace culvert

/// Our own bug, never the peer's: stays on in release builds. No input from outside may reach a failing one.
#define CULVERT_ASSERT(condition)                      \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::culvert::assertion_failed(#condition, __FILE__, __LINE__))
