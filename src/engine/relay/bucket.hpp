// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/time.hpp"

namespace culvert::relay {

/// What may pass in a time, bytes or streams: as many as `rate` gives in a second, and a second's worth at
/// once. Thread-safe, without a lock.
class Bucket {
 public:
  /// How many of `wanted` may pass now; all without a rate. They count as passed. Of pieces that pass whole
  /// or not at all, `unit` is the size; the last one may be smaller.
  [[nodiscard]] std::size_t take(std::size_t wanted, std::optional<std::uint64_t> rate, Instant now,
                                 std::size_t unit = 1);
  /// Of what take() gave at this rate, so many did not pass.
  void give_back(std::size_t count, std::optional<std::uint64_t> rate);
  /// When the next may pass, after take() gave none.
  [[nodiscard]] static Duration pause() { return std::chrono::milliseconds(20); }

 private:
  /// What has passed is paid for by time: until then, in nanoseconds of the clock. Up to a second ahead.
  std::atomic<std::int64_t> paid_until_ = 0;
};

/// A bucket with its rate, for all who share that: the forwards of one mapping, on whatever threads.
class Rate {
 public:
  explicit Rate(std::uint64_t a_second) : a_second_(a_second) {}

  [[nodiscard]] std::size_t take(std::size_t wanted, Instant now, std::size_t unit = 1) {
    return bucket_.take(wanted, a_second_, now, unit);
  }
  void give_back(std::size_t count) { bucket_.give_back(count, a_second_); }
  [[nodiscard]] std::uint64_t a_second() const { return a_second_; }

 private:
  const std::uint64_t a_second_;
  Bucket bucket_;
};

/// How many bytes a second go to destinations and come back, all streams and datagrams together. Null: any
/// number.
struct Rates {
  std::shared_ptr<Rate> out = {};
  std::shared_ptr<Rate> in = {};

  [[nodiscard]] bool any() const { return out || in; }
};

}  // namespace culvert::relay
