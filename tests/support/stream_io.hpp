// SPDX-License-Identifier: Apache-2.0
// What a program at the end of a stream does: sends, receives, compares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/relay/stream.hpp"

namespace culvert::testing {

/// `size` bytes that depend on `seed` and, each, on its place: what is lost, doubled or swapped shows.
[[nodiscard]] inline std::string pattern(std::size_t size, std::uint64_t seed) {
  std::string bytes(size, '\0');
  std::uint64_t state = seed * 0x9E3779B97F4A7C15U + 1;
  for (char& byte : bytes) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<char>(state);
  }
  return bytes;
}

/// Writes all of it, and ends the direction if `then_end`.
[[nodiscard]] inline relay::Task<Result<void>> send_all(relay::Stream& to, std::string_view bytes,
                                                        bool then_end = true) {
  while (!bytes.empty()) {
    const ByteView view = as_bytes(bytes);
    const std::size_t taken = CO_TRY(to.write({&view, 1}));
    bytes.remove_prefix(taken);
    if (taken > 0) continue;
    auto ready = co_await to.writable();
    if (!ready) co_return ready;
  }
  if (then_end) to.end();
  co_return Result<void>();
}

struct Received {
  std::string bytes;
  std::optional<Error> error;  ///< none: it ended in order
};

/// Reads to the end, or until `limit` bytes are there.
[[nodiscard]] inline relay::Task<Received> receive_all(relay::Stream& from,
                                                       std::size_t limit = static_cast<std::size_t>(-1)) {
  Received received;
  while (received.bytes.size() < limit) {
    auto lent = co_await from.read();
    if (!lent) {
      received.error = std::move(lent).error();
      break;
    }
    if (lent->empty()) break;
    std::size_t size = 0;
    for (const ByteView view : *lent) {
      received.bytes += as_text(view);
      size += view.size();
    }
    from.consume(size);
  }
  co_return received;
}

}  // namespace culvert::testing
