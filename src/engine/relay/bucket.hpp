// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/time.hpp"

namespace culvert::relay {

/// When how much may pass.
struct Turn {
  std::size_t count = 0;  ///< none: ask again at that time
  Instant at{};
};

/// What may pass in a time, bytes or streams: as many as `rate` gives in a second, and a second's worth at
/// once. Who can wait gets turns: those who wait share the rate evenly, however much each of them wants.
/// Thread-safe, without a lock.
class Bucket {
 public:
  /// How many of `wanted` may pass now; all without a rate. They count as passed. Of pieces that pass whole
  /// or not at all, `unit` is the size; the last one may be smaller.
  [[nodiscard]] std::size_t take(std::size_t wanted, std::optional<std::uint64_t> rate, Instant now,
                                 std::size_t unit = 1);
  /// Of what take() gave at this rate, so many did not pass.
  void give_back(std::size_t count, std::optional<std::uint64_t> rate);
  /// The same for who can wait: as many of `wanted` as may pass now, or the next turn that is free: a few
  /// times `wanted`, and of what kTurn pays for at most. That counts as passed, and is for whoever asked, for
  /// kTurnLasts from then on: what is not used is given back.
  ///
  /// For a second after somebody had to wait there are only turns, if there is something left as well: they
  /// come a moment later than now, behind those of all who have waited already.
  [[nodiscard]] Turn turn(std::size_t wanted, std::optional<std::uint64_t> rate, Instant now,
                          std::size_t unit = 1);
  static constexpr Duration kTurn = std::chrono::milliseconds(20);
  /// Turns follow each other: all that have come in this time, and are not used yet, are what may come at
  /// once.
  static constexpr Duration kTurnLasts = std::chrono::seconds(1);
  /// Whether somebody waits for a turn: then all have to, or those would never get one.
  [[nodiscard]] bool has_turns(Instant now) const;

 private:
  /// What has passed is paid for by time: until then, in nanoseconds of the clock. Up to a second ahead, and
  /// farther by the turns that are given out.
  std::atomic<std::int64_t> paid_until_ = 0;
  std::atomic<std::int64_t> crowded_until_ = 0;  ///< of the same clock
};

/// A bucket with its rate, for all who share that: the forwards of one mapping, on whatever threads.
class Rate {
 public:
  explicit Rate(std::uint64_t a_second) : a_second_(a_second) {}

  [[nodiscard]] std::size_t take(std::size_t wanted, Instant now, std::size_t unit = 1) {
    return bucket_.take(wanted, a_second_, now, unit);
  }
  [[nodiscard]] Turn turn(std::size_t wanted, Instant now, std::size_t unit = 1) {
    return bucket_.turn(wanted, a_second_, now, unit);
  }
  [[nodiscard]] bool has_turns(Instant now) const { return bucket_.has_turns(now); }
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
