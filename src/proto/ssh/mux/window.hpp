// SPDX-License-Identifier: Apache-2.0
// Flow control of a channel (RFC 4254 section 5.2): two counters that cannot wrap, and no channel in them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/assert.hpp"
#include "base/time.hpp"

namespace culvert::ssh {

/// What the peer may still send us, and what it sent that nobody has taken yet. In bytes.
class ReceiveWindow {
 public:
  explicit ReceiveWindow(std::uint32_t granted) : outstanding_(granted) {}

  /// `n` bytes came. False if that is more than we granted: the peer's fault.
  [[nodiscard]] bool arrived(std::size_t n) {
    if (n > outstanding_) return false;
    outstanding_ -= static_cast<std::uint32_t>(n);
    held_ += static_cast<std::uint32_t>(n);
    return true;
  }
  /// `n` of them were taken by their destination, or thrown away.
  void consumed(std::size_t n) {
    CULVERT_ASSERT(n <= held_);
    held_ -= static_cast<std::uint32_t>(n);
  }
  /// It sends no more.
  void ended() { outstanding_ = 0; }
  /// Credit was sent.
  void granted(std::uint32_t n) {
    CULVERT_ASSERT(n <= std::numeric_limits<std::uint32_t>::max() - outstanding_ - held_);
    outstanding_ += n;
  }

  [[nodiscard]] std::uint32_t outstanding() const { return outstanding_; }
  [[nodiscard]] std::uint32_t held() const { return held_; }
  /// The most that the peer can make us keep on this channel: counts against the session's budget.
  [[nodiscard]] std::uint32_t footprint() const { return outstanding_ + held_; }

 private:
  std::uint32_t outstanding_;
  std::uint32_t held_ = 0;
};

/// What we may still send to the peer.
class SendWindow {
 public:
  explicit SendWindow(std::uint32_t initial) : available_(initial) {}

  [[nodiscard]] std::uint32_t available() const { return available_; }
  /// Credit came. False if the sum passes 2^32 - 1: the peer's fault.
  [[nodiscard]] bool adjust(std::uint32_t n) {
    if (n > std::numeric_limits<std::uint32_t>::max() - available_) return false;
    available_ += n;
    return true;
  }
  void take(std::size_t n) {
    CULVERT_ASSERT(n <= available_);
    available_ -= static_cast<std::uint32_t>(n);
  }

 private:
  std::uint32_t available_;
};

/// What a window has above what is in flight: room to grow into, and what a peer reads ahead.
struct WindowSpare {
  double of_flight;             ///< of what is in flight, while much is
  double bytes;                 ///< above that, at most
  std::uint32_t enough_credit;  ///< is worth a message, however large the window is
};
inline constexpr WindowSpare kWideSpare = {0.25, 2 << 20, 1 << 20};
/// OpenSSH reads ahead as far as it has credit, into a buffer that it copies whole for each packet while that
/// grows: once some megabytes are in it, a stream of 600 MB/s goes at 1 MB/s until all credit is used up.
inline constexpr WindowSpare kNarrowSpare = {1.0 / 16, 1 << 20, 256 << 10};

/// How large a receive window should be: what the destination takes, for as long as the path and we need to
/// answer.
///
///     target = 2 * rate * round trip  +  rate * 50 ms, but at most spare.bytes above
///              (1 + spare.of_flight) * rate * round trip; between a floor and a ceiling
///
/// While the window is what limits a stream, the rate is window / round trip, so the target doubles with each
/// round trip, and above some MiB grows by its spare; when the path or the reader is the limit, it stays a
/// little above what is needed, and no more than that queues up before other streams.
class WindowTuner {
 public:
  explicit WindowTuner(std::uint32_t initial) : target_(initial), floor_(initial) {}

  [[nodiscard]] std::uint32_t target() const { return target_; }
  /// The least credit that is told. What is held back cannot be in flight: a quarter of a window that follows
  /// a long path is what it was to grow by, and it would stop growing.
  [[nodiscard]] static std::uint32_t worth_a_message(std::uint32_t target, const WindowSpare& spare) {
    return std::min(target / 4, spare.enough_credit);
  }

  /// `n` bytes were consumed. `round_trip`: the smallest seen on this connection.
  void consumed(std::size_t n, Instant now, Duration round_trip, std::uint32_t ceiling,
                const WindowSpare& spare) {
    const Duration span = std::max<Duration>(round_trip, kShortestSample);
    if (now - sample_start_ > 8 * span) {  // after a pause there is no rate to speak of
      sample_start_ = now;
      sample_bytes_ = n;
      return;
    }
    sample_bytes_ += n;
    const Duration elapsed = now - sample_start_;
    if (elapsed < span) return;
    const double rate =
        static_cast<double>(sample_bytes_) / static_cast<double>(elapsed.count());  // bytes per us
    const double in_flight = rate * static_cast<double>(round_trip.count());
    const double least = (1 + spare.of_flight) * in_flight;
    const double slack = 2 * in_flight - least + rate * static_cast<double>(kSlack.count());
    const auto wanted = static_cast<std::uint64_t>(least + std::min(slack, spare.bytes));
    const std::uint64_t bounded = std::clamp<std::uint64_t>(wanted, floor_, std::max(ceiling, floor_));
    if (bounded >= target_) {
      target_ = static_cast<std::uint32_t>(bounded);
    } else {
      target_ -=
          (target_ - static_cast<std::uint32_t>(bounded)) / 8;  // one slow sample is not yet a slow path
    }
    sample_start_ = now;
    sample_bytes_ = 0;
  }

 private:
  static constexpr Duration kShortestSample = std::chrono::milliseconds(5);
  static constexpr Duration kSlack = std::chrono::milliseconds(50);  // for the reader's and our own pauses

  std::uint32_t target_;
  std::uint32_t floor_;
  Instant sample_start_{};
  std::uint64_t sample_bytes_ = 0;
};

}  // namespace culvert::ssh
