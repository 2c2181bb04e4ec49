// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/time.hpp"
#include "engine/relay/bucket.hpp"

namespace culvert::relay {

/// Of lines about what peers can do as often as they like: so many a second, and the others are counted.
class LinePace {
 public:
  static constexpr std::uint64_t kOfAPeer = 50;  ///< a second: disks bear that

  explicit LinePace(std::uint64_t a_second = kOfAPeer) : rate_(a_second) {}

  /// What the line that may be written now ends in, " (and 12 before it)" or nothing. None: it may not be
  /// written, and counts for the next one.
  [[nodiscard]] std::optional<std::string> next(Instant now) {
    if (rate_.take(1, now) == 0) {
      ++untold_;
      return std::nullopt;
    }
    const std::uint64_t before = std::exchange(untold_, 0);
    return before > 0 ? fmt::format(" (and {} before it)", before) : std::string();
  }

 private:
  Rate rate_;
  std::uint64_t untold_ = 0;  ///< since the last line
};

}  // namespace culvert::relay
