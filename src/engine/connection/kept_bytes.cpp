// SPDX-License-Identifier: Apache-2.0
#include "engine/connection/kept_bytes.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace culvert::connection {
namespace {

// A block is as long as what is held already, within these: few blocks for much, little waste for little.
constexpr std::size_t kSmallestBlock = 2 * 1024;
constexpr std::size_t kLargestBlock = 256 * 1024;

}  // namespace

void KeptBytes::append(ByteView bytes) {
  while (!bytes.empty()) {
    if (blocks_.empty() || blocks_.back().size() == blocks_.back().capacity()) {
      const auto wanted = std::max(bytes.size(), size_);
      blocks_.emplace_back().reserve(std::clamp(wanted, kSmallestBlock, kLargestBlock));
    }
    Bytes& block = blocks_.back();
    const auto piece = bytes.first(std::min(bytes.size(), block.capacity() - block.size()));
    block.insert(block.end(), piece.begin(), piece.end());
    size_ += piece.size();
    bytes = bytes.subspan(piece.size());
  }
}

void KeptBytes::drop(std::size_t n) {
  CULVERT_ASSERT(n <= size_);
  size_ -= n;
  if (size_ == 0) return clear();
  for (dropped_ += n; dropped_ >= blocks_[first_].size(); ++first_) {
    dropped_ -= blocks_[first_].size();
    blocks_[first_] = Bytes();
  }
  if (first_ >= 16 && first_ * 2 >= blocks_.size()) {
    blocks_.erase(blocks_.begin(), blocks_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void KeptBytes::clear() { *this = KeptBytes(); }

void KeptBytes::view(std::vector<ByteView>& into, std::size_t most) const {
  for (std::size_t i = first_; i < blocks_.size() && i - first_ < most; ++i) {
    into.push_back(ByteView(blocks_[i]).subspan(i == first_ ? dropped_ : 0));
  }
}

}  // namespace culvert::connection
