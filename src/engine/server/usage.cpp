// SPDX-License-Identifier: Apache-2.0
#include "engine/server/usage.hpp"

#include <algorithm>
#include <chrono>

namespace culvert::server {

std::size_t Bucket::take(std::size_t wanted, std::optional<std::uint64_t> rate, Instant now) {
  if (!rate) return wanted;
  const auto a_second = static_cast<double>(*rate);
  if (!filled_) {
    tokens_ = a_second;
  } else {
    tokens_ += a_second * std::chrono::duration<double>(now - *filled_).count();
  }
  filled_ = now;
  tokens_ = std::min(tokens_, a_second);
  const auto taken = std::min(wanted, static_cast<std::size_t>(std::max(tokens_, 0.0)));
  tokens_ -= static_cast<double>(taken);
  return taken;
}

}  // namespace culvert::server
