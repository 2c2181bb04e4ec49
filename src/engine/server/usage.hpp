// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "engine/relay/bucket.hpp"

namespace culvert::server {

/// How many of something there are at once. Any thread.
class Count {
 public:
  /// Counts one less when it is destroyed.
  struct Leave {
    void operator()(Count* of) const { of->count_.fetch_sub(1, std::memory_order_relaxed); }
  };
  /// One of them. The count must outlive it.
  using Taken = std::unique_ptr<Count, Leave>;

  /// Null: there are `most` already. None: any number.
  [[nodiscard]] Taken take(std::optional<std::uint64_t> most) {
    std::uint64_t now = count_.load(std::memory_order_relaxed);
    do {
      if (most && now >= *most) return nullptr;
    } while (!count_.compare_exchange_weak(now, now + 1, std::memory_order_relaxed));
    return Taken(this);
  }
  [[nodiscard]] std::uint64_t now() const { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> count_ = 0;
};

/// What all sessions of a user, or of a key, use together. Any thread.
struct Usage {
  Count sessions, streams, listeners;
  std::atomic<std::uint64_t> bytes = 0;  ///< both ways, since the server started, or as its QuotaBook has it
  std::atomic<bool> has_quota = false;   ///< it has had one since then
  relay::Bucket in, out;                 ///< from the client, to the client
};

}  // namespace culvert::server
