// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/assert.hpp"
#include "base/bytes.hpp"

namespace culvert::ssh {

/// Bytes in one piece: filled at the back, taken at the front. Memory is reused from the start as soon as it
/// is empty, so a queue that is drained regularly stays in the cache. Views and room end with the next room()
/// call.
class ByteQueue {
 public:
  [[nodiscard]] std::size_t size() const { return end_ - begin_; }
  [[nodiscard]] bool empty() const { return begin_ == end_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  [[nodiscard]] ByteView view() const { return {memory_.get() + begin_, size()}; }
  [[nodiscard]] MutableBytes mutable_view() { return {memory_.get() + begin_, size()}; }

  /// At least `n` bytes behind the content, not initialised. What is in the queue may move.
  [[nodiscard]] MutableBytes room(std::size_t n) {
    if (empty()) begin_ = end_ = 0;
    if (capacity_ - end_ < n) make_room(n);
    return {memory_.get() + end_, capacity_ - end_};
  }
  /// The first `n` bytes of the room became content.
  void commit(std::size_t n) {
    CULVERT_ASSERT(n <= capacity_ - end_);
    end_ += n;
  }
  void consume(std::size_t n) {
    CULVERT_ASSERT(n <= size());
    begin_ += n;
  }

 private:
  void make_room(std::size_t n) {
    const std::size_t content = size();
    if (capacity_ - content >= n && begin_ >= content / 2) {  // enough in front, and the move is cheap
      std::memmove(memory_.get(), memory_.get() + begin_, content);
    } else {
      // Twice as much at least: to move what stands where there is hardly room in front, again and again,
      // would cost more than the memory, and fresh memory of the same length the most.
      std::size_t wanted = capacity_ == 0 ? 4096 : capacity_ * 2;
      while (wanted - content < n) wanted *= 2;
      auto larger = std::make_unique_for_overwrite<std::uint8_t[]>(wanted);
      if (content > 0) std::memcpy(larger.get(), memory_.get() + begin_, content);
      memory_ = std::move(larger);
      capacity_ = wanted;
    }
    begin_ = 0;
    end_ = content;
  }

  std::unique_ptr<std::uint8_t[]> memory_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace culvert::ssh
