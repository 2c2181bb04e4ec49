// SPDX-License-Identifier: Apache-2.0
#include "proto/gateway/epoch.hpp"

#include <utility>

namespace culvert::gateway {

bool Epoch::fits(std::uint32_t seconds, Instant now) {
  const auto before = std::exchange(last_, Seen{seconds, now});
  if (!before) return true;
  if (seconds + std::int64_t{1} < before->router) return false;
  const std::int64_t here = std::chrono::duration_cast<std::chrono::seconds>(now - before->at).count();
  const std::int64_t there = seconds - before->router;
  return here + 2 >= there - there / 16 && there + 2 >= here - here / 16;
}

}  // namespace culvert::gateway
