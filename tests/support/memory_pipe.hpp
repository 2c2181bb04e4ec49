// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "base/bytes.hpp"
#include "base/time.hpp"

namespace culvert::test {

/// One direction of a link in memory: what is written comes out at the other end in order, after a delay, no
/// faster than its rate, and in pieces of at most some size. It holds at most one rate x delay of bytes, or
/// everything where it has no rate; what it has no room for stays with the writer, as in a socket. It takes a
/// write whole or waits until it is empty: room is not filled up in ever smaller pieces.
class MemoryPipe {
 public:
  struct Path {
    std::size_t piece = SIZE_MAX;           ///< most bytes that come out at once
    Duration delay{0};                      ///< one way
    std::uint64_t bytes_per_second = 0;     ///< 0: no limit
    std::size_t queue = 64 * 1024;          ///< with a rate: what waits in front of it, at most
    std::uint64_t deliveries = UINT64_MAX;  ///< the pipe breaks after so many
  };

  MemoryPipe() = default;
  explicit MemoryPipe(Path path) : path_(path) {}

  /// How much of `bytes` it took.
  std::size_t write(ByteView bytes, Instant now) {
    if (broken()) return bytes.size();  // nobody hears it
    std::size_t taken = bytes.size();
    Instant leaves = std::max(now, free_at_);
    if (path_.bytes_per_second != 0) {
      const auto waiting =
          static_cast<std::uint64_t>((leaves - now).count()) * path_.bytes_per_second / 1'000'000;
      if (waiting > 0 && taken > path_.queue - std::min<std::uint64_t>(waiting, path_.queue)) return 0;
      taken = std::min(taken, path_.queue);
      leaves += Duration(static_cast<std::int64_t>(taken * 1'000'000 / path_.bytes_per_second));
    }
    if (taken == 0) return 0;
    free_at_ = leaves;
    under_way_.push_back(
        {leaves + path_.delay, Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken))});
    return taken;
  }

  /// The next piece that has arrived; empty: none yet. Valid until consume().
  [[nodiscard]] ByteView arrived(Instant now) const {
    if (broken() || under_way_.empty() || under_way_.front().at > now) return {};
    const ByteView rest = ByteView(under_way_.front().bytes).subspan(read_);
    return rest.first(std::min(rest.size(), path_.piece));
  }
  void consume(std::size_t n) {
    read_ += n;
    ++deliveries_;
    if (read_ < under_way_.front().bytes.size()) return;
    under_way_.pop_front();
    read_ = 0;
  }

  /// When something will arrive, or there will be room again.
  [[nodiscard]] Instant next_arrival(Instant now) const {
    if (broken()) return kNever;
    const Instant arrival = under_way_.empty() ? kNever : under_way_.front().at;
    return free_at_ > now ? std::min(arrival, free_at_) : arrival;
  }
  [[nodiscard]] bool empty() const { return broken() || under_way_.empty(); }
  void break_now() { path_.deliveries = deliveries_; }
  [[nodiscard]] bool broken() const { return deliveries_ >= path_.deliveries; }
  [[nodiscard]] std::uint64_t deliveries() const { return deliveries_; }

 private:
  struct Lump {
    Instant at;
    Bytes bytes;
  };

  Path path_;
  std::deque<Lump> under_way_;
  std::size_t read_ = 0;  // of the first lump
  Instant free_at_{};
  std::uint64_t deliveries_ = 0;
};

}  // namespace culvert::test
