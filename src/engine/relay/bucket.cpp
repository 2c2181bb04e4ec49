// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/bucket.hpp"

#include <algorithm>
#include <chrono>

namespace culvert::relay {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

/// A turn is for so many times as much as is wanted now: who wants little does not keep much from others, who
/// reads piece by piece does not wait for each.
constexpr std::size_t kAhead = 4;

// Rounded down: a second always pays for as many as the rate says.
std::int64_t price(std::size_t count, std::uint64_t rate) {
  const double time = static_cast<double>(count) * static_cast<double>(kSecond) / static_cast<double>(rate);
  return static_cast<std::int64_t>(std::min(time, static_cast<double>(kSecond)));
}

std::int64_t nanoseconds(Instant now) { return std::chrono::nanoseconds(now.time_since_epoch()).count(); }

/// How much of `wanted` a time pays for, in whole units.
std::size_t affordable(std::size_t wanted, std::int64_t time, std::uint64_t rate, std::size_t unit) {
  if (time <= 0) return 0;
  const double may = static_cast<double>(time) * static_cast<double>(rate) / static_cast<double>(kSecond);
  if (may >= static_cast<double>(wanted)) return wanted;
  const auto count = static_cast<std::size_t>(may);
  return count - count % unit;
}

}  // namespace

std::size_t Bucket::take(std::size_t wanted, std::optional<std::uint64_t> rate, Instant now,
                         std::size_t unit) {
  if (!rate) return wanted;
  const std::int64_t clock = nanoseconds(now);
  std::int64_t paid = paid_until_.load(std::memory_order_relaxed);
  for (;;) {
    const std::int64_t from = std::max(paid, clock);
    const std::size_t taken = affordable(wanted, clock + kSecond - from, *rate, unit);
    if (taken == 0) return 0;
    if (paid_until_.compare_exchange_weak(paid, from + price(taken, *rate), std::memory_order_relaxed))
      return taken;
  }
}

Turn Bucket::turn(std::size_t wanted, std::optional<std::uint64_t> rate, Instant now, std::size_t unit) {
  if (!rate) return {wanted, now};
  if (*rate == 0 || unit > *rate) return {0, now + std::chrono::seconds(1)};
  const std::size_t share =
      std::max(affordable(wanted * kAhead, std::chrono::nanoseconds(kTurn).count(), *rate, unit), unit);
  const std::int64_t clock = nanoseconds(now);
  const bool others_wait = clock < crowded_until_.load(std::memory_order_relaxed);
  std::int64_t paid = paid_until_.load(std::memory_order_relaxed);
  for (;;) {
    const std::int64_t from = std::max(paid, clock);
    std::size_t taken = affordable(wanted, clock + kSecond - from, *rate, unit);
    std::int64_t at = clock;
    if (others_wait || taken < std::min(wanted, share)) {
      taken = share;
      at = std::max(from + price(taken, *rate) - kSecond, clock + 1);
    }
    if (!paid_until_.compare_exchange_weak(paid, from + price(taken, *rate), std::memory_order_relaxed))
      continue;
    if (at > clock + 1) crowded_until_.store(at + kSecond, std::memory_order_relaxed);
    return {taken, now + std::chrono::ceil<Duration>(std::chrono::nanoseconds(at - clock))};
  }
}

bool Bucket::has_turns(Instant now) const {
  return paid_until_.load(std::memory_order_relaxed) > nanoseconds(now) + kSecond;
}

void Bucket::give_back(std::size_t count, std::optional<std::uint64_t> rate) {
  if (!rate || count == 0) return;
  paid_until_.fetch_sub(price(count, *rate), std::memory_order_relaxed);
}

}  // namespace culvert::relay
