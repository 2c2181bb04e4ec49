// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

namespace culvert {

/// Time is an argument (protocols have no clock): microseconds since some fixed moment, never going back.
using Duration = std::chrono::microseconds;

struct MonotonicClock {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};

using Instant = MonotonicClock::time_point;

/// "No deadline."
inline constexpr Instant kNever = Instant::max();

/// Seconds since 1970, UTC: moments that people and files name.
using UnixSeconds = std::int64_t;

/// CLOCK_MONOTONIC now. Not for use under src/proto.
[[nodiscard]] inline Instant monotonic_now() {
  return Instant(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

/// CLOCK_REALTIME now. Not for use under src/proto.
[[nodiscard]] inline UnixSeconds unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace culvert
