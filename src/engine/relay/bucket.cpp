// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/bucket.hpp"

#include <algorithm>
#include <chrono>

namespace culvert::relay {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

// Rounded down: a second always pays for as many as the rate says.
std::int64_t price(std::size_t count, std::uint64_t rate) {
  const double time = static_cast<double>(count) * static_cast<double>(kSecond) / static_cast<double>(rate);
  return static_cast<std::int64_t>(std::min(time, static_cast<double>(kSecond)));
}

}  // namespace

std::size_t Bucket::take(std::size_t wanted, std::optional<std::uint64_t> rate, Instant now,
                         std::size_t unit) {
  if (!rate) return wanted;
  const std::int64_t clock = std::chrono::nanoseconds(now.time_since_epoch()).count();
  std::int64_t paid = paid_until_.load(std::memory_order_relaxed);
  for (;;) {
    const std::int64_t from = std::max(paid, clock);
    const std::int64_t left = clock + kSecond - from;
    if (left <= 0) return 0;
    const double may = static_cast<double>(left) * static_cast<double>(*rate) / static_cast<double>(kSecond);
    std::size_t taken = wanted;
    if (may < static_cast<double>(wanted)) {
      taken = static_cast<std::size_t>(may);
      taken -= taken % unit;
    }
    if (taken == 0) return 0;
    if (paid_until_.compare_exchange_weak(paid, from + price(taken, *rate), std::memory_order_relaxed))
      return taken;
  }
}

void Bucket::give_back(std::size_t count, std::optional<std::uint64_t> rate) {
  if (!rate || count == 0) return;
  paid_until_.fetch_sub(price(count, *rate), std::memory_order_relaxed);
}

}  // namespace culvert::relay
