// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/time.hpp"

namespace culvert::server {

/// Bytes that may pass in a time: as many as `rate` gives in a second, and a second's worth at once.
class Bucket {
 public:
  /// How many of `wanted` bytes may pass now; all without a rate. They count as passed.
  [[nodiscard]] std::size_t take(std::size_t wanted, std::optional<std::uint64_t> rate, Instant now);
  /// When the next bytes may pass, after take() gave none.
  [[nodiscard]] static Duration pause() { return std::chrono::milliseconds(20); }
  void give_back(std::size_t bytes) { tokens_ += static_cast<double>(bytes); }

 private:
  double tokens_ = 0;
  std::optional<Instant> filled_;
};

/// What all sessions of a user, or of a key, use together. On one thread.
struct Usage {
  std::uint32_t streams = 0;
  std::uint32_t listeners = 0;
  std::uint64_t bytes = 0;  ///< both ways, since the server started
  Bucket in, out;           ///< from the client, to the client
};

}  // namespace culvert::server
