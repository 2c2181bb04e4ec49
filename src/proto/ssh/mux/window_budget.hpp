// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/assert.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::ssh {

/// The sum of what all channels' receive windows may make us keep, and who gets how much of it. Every
/// channel, open or still to come, has its smallest window set aside, so none can starve; the rest is shared
/// by what the channels need.
class WindowBudget {
 public:
  explicit WindowBudget(const Limits& limits) : limits_(limits) {}

  /// The window of a new channel, counted from now on; none if there is no room for another.
  [[nodiscard]] std::optional<std::uint32_t> open() {
    if (channels_ >= limits_.channels || used_ + limits_.window_min > limits_.window_budget)
      return std::nullopt;
    const std::uint64_t wanted = limits_.window_min + shared() / kShares;
    const auto window = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
        wanted, limits_.window_min, std::max(limits_.window_initial, limits_.window_min)));
    ++channels_;
    used_ += window;
    return window;
  }
  void close(std::uint32_t footprint) {
    CULVERT_ASSERT(channels_ > 0 && counted(footprint) <= used_);
    --channels_;
    used_ -= counted(footprint);
  }

  /// A channel's footprint goes from `before` to `after`.
  void change(std::uint32_t before, std::uint32_t after) {
    used_ += counted(after);
    CULVERT_ASSERT(counted(before) <= used_);
    used_ -= counted(before);
  }
  /// How much more credit a channel with this footprint may be given now.
  [[nodiscard]] std::uint64_t grantable(std::uint32_t footprint) const {
    return (footprint < limits_.window_min ? limits_.window_min - footprint : 0) + shared();
  }

  [[nodiscard]] std::uint64_t used() const { return used_; }

 private:
  static constexpr std::uint64_t kShares = 32;

  [[nodiscard]] std::uint64_t counted(std::uint32_t footprint) const {
    return std::max(footprint, limits_.window_min);
  }
  [[nodiscard]] std::uint64_t shared() const {
    const std::uint64_t set_aside = std::uint64_t{limits_.channels - channels_} * limits_.window_min;
    const std::uint64_t taken = used_ + set_aside;
    return taken >= limits_.window_budget ? 0 : limits_.window_budget - taken;
  }

  const Limits& limits_;
  std::uint64_t used_ = 0;
  std::uint32_t channels_ = 0;
};

}  // namespace culvert::ssh
