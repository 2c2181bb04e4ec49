// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "base/bytes.hpp"

namespace culvert::test {

/// A fuzz harness takes its choices from the front of the input; when that is used up, they are all zero.
class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] std::uint8_t byte() {
    const ByteView taken = bytes(1);
    return taken.empty() ? 0 : taken[0];
  }
  /// Big-endian.
  [[nodiscard]] std::uint16_t u16() {
    const unsigned high = byte();
    return static_cast<std::uint16_t>(high << 8 | byte());
  }
  /// At most `n`.
  [[nodiscard]] ByteView bytes(std::size_t n) {
    const ByteView taken = rest_.first(std::min(n, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  [[nodiscard]] ByteView rest() { return bytes(rest_.size()); }

 private:
  ByteView rest_;
};

/// What a harness claims: if it does not hold, that is a finding.
inline void require(bool holds, const char* claim) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", claim);
  std::abort();
}

}  // namespace culvert::test
