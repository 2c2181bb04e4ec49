// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/bytes.hpp"

namespace culvert::connection {

/// Bytes that were copied aside because their destination would not take them: a queue of blocks. Holds no
/// memory while it is empty (2 MiB of large blocks is kept for all of a thread), and at most about twice what
/// it holds otherwise. How much may come is the caller's limit.
class KeptBytes {
 public:
  /// All of `views` but their first `skip` bytes; how many that are.
  std::size_t append(std::span<const ByteView> views, std::size_t skip);
  /// The first `n` bytes are no longer needed; n <= size().
  void drop(std::size_t n);
  void clear();

  /// Appends views of what is held, in order, up to `most` views. Valid until append(), drop() or clear().
  void view(std::vector<ByteView>& into, std::size_t most) const;
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  [[nodiscard]] std::size_t room_for(std::size_t more);

  std::vector<Bytes> blocks_;
  std::size_t first_ = 0;    // blocks before it are spent
  std::size_t dropped_ = 0;  // bytes at the start of the first block
  std::size_t size_ = 0;
};

}  // namespace culvert::connection
