// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "base/assert.hpp"
#include "base/bytes.hpp"

namespace culvert::relay {

/// The lending side of Stream::read() for streams that read into the thread's scratch buffer: what is lent,
/// how much of it was consumed, and the rest that keep() copied aside.
class Lent {
 public:
  /// Whether a kept rest waits; lend_rest() lends it.
  [[nodiscard]] bool has_rest() const { return kept_begin_ < kept_.size(); }
  [[nodiscard]] std::span<const ByteView> lend_rest() {
    current_ = ByteView(kept_).subspan(kept_begin_);
    return {&current_, 1};
  }

  [[nodiscard]] std::span<const ByteView> lend(ByteView bytes) {
    CULVERT_ASSERT(current_.empty());  // else the reader neither consumed nor kept what it had
    current_ = bytes;
    return {&current_, 1};
  }
  void consume(std::size_t n) {
    CULVERT_ASSERT(n <= current_.size());
    current_ = current_.subspan(n);
    if (has_rest()) kept_begin_ += n;
  }
  /// Returns how many bytes had to be copied.
  std::size_t keep() {
    if (has_rest() || current_.empty()) return 0;
    kept_.assign(current_.begin(), current_.end());
    kept_begin_ = 0;
    return kept_.size();
  }
  /// Before waiting for more: nothing may be lent, and an idle stream holds no memory.
  void settle() {
    CULVERT_ASSERT(!has_rest() && current_.empty());
    kept_ = Bytes();
    kept_begin_ = 0;
  }

 private:
  ByteView current_;
  Bytes kept_;
  std::size_t kept_begin_ = 0;
};

}  // namespace culvert::relay
