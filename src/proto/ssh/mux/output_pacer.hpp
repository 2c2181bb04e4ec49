// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.hpp"

namespace culvert::ssh {

/// How many sealed bytes may wait for the network: what it takes in a few ten milliseconds, so that bulk does
/// not put seconds of queue before a keystroke, and a fast path still gets batches of a size that pays.
class OutputPacer {
 public:
  /// At least one byte, or nothing would ever be sent.
  OutputPacer(std::size_t smallest, std::size_t largest)
      : smallest_(std::max<std::size_t>(smallest, 1)),
        largest_(std::max(largest, smallest_)),
        limit_(std::clamp(kFirst, smallest_, largest_)) {}

  [[nodiscard]] std::size_t limit() const { return limit_; }

  /// The network took `n` bytes.
  void consumed(std::size_t n, Instant now) {
    if (now - sample_start_ > kLongestSample) {
      sample_start_ = now;
      sample_bytes_ = 0;
    }
    sample_bytes_ += n;
    const Duration elapsed = now - sample_start_;
    if (elapsed < kShortestSample) return;
    const double rate = static_cast<double>(sample_bytes_) / static_cast<double>(elapsed.count());
    const auto wanted = static_cast<std::size_t>(rate * static_cast<double>(kQueue.count()));
    limit_ = std::clamp(wanted, smallest_, largest_);
    sample_start_ = now;
    sample_bytes_ = 0;
  }

 private:
  static constexpr std::size_t kFirst = 256 * 1024;
  static constexpr Duration kQueue = std::chrono::milliseconds(25);
  static constexpr Duration kShortestSample = std::chrono::milliseconds(20);
  static constexpr Duration kLongestSample = std::chrono::milliseconds(500);

  std::size_t smallest_, largest_, limit_;
  Instant sample_start_{};
  std::uint64_t sample_bytes_ = 0;
};

}  // namespace culvert::ssh
