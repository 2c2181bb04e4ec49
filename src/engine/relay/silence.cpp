// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/silence.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

namespace culvert::relay {

Duration SilenceLimits::look_every() const {
  const Duration shorter = idle == Duration::zero()          ? half_closed
                           : half_closed == Duration::zero() ? idle
                                                             : std::min(idle, half_closed);
  return std::max<Duration>(shorter / 4, std::chrono::milliseconds(1));
}

std::optional<std::string> Silence::look(std::uint64_t moved, bool half_closed, const SilenceLimits& limits,
                                         Instant now) {
  if (moved != seen_ || half_closed != half_closed_) {
    seen_ = moved;
    half_closed_ = half_closed;
    since_ = now;
    return std::nullopt;
  }
  const bool by_half = half_closed && limits.half_closed > Duration::zero();
  const Duration limit = by_half ? limits.half_closed : limits.idle;
  if (limit == Duration::zero() || now - since_ < limit) return std::nullopt;
  return fmt::format("{} for {:g} s", by_half ? "half closed and silent" : "idle",
                     std::chrono::duration<double>(limit).count());
}

}  // namespace culvert::relay
