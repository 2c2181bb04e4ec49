// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "engine/relay/stream.hpp"

namespace culvert::daemon {

/// One part of the plan at work. All calls on the thread of its executor.
class Run {
 public:
  virtual ~Run() = default;
  /// Makes it ready: logs in, opens its listeners, each with a line when it is up. Once.
  [[nodiscard]] virtual relay::Task<Result<void>> start() = 0;
  /// Works until it is over. Success: it has done what it was for, or stop(). Nothing of it runs any more
  /// when this returns. Once, after start().
  [[nodiscard]] virtual relay::Task<Result<void>> serve() = 0;
  /// Takes no more streams, gives those that live `time` to end, and ends; serve() returns.
  virtual void stop(Duration time) = 0;
  /// Says in the log what it has carried, and what it carries now. After start(), until serve() returns.
  virtual void tell() = 0;
  /// Returns when all threads that it has besides the caller's have shown that they live. When tell() may be
  /// called.
  [[nodiscard]] virtual relay::Task<void> answers() { co_return; }
};

/// Of a task that threw, in a run that goes on without it.
inline void log_broken_task(const Error& error) { log(LogLevel::error, "{}", error.message); }

}  // namespace culvert::daemon
