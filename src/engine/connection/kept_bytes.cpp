// SPDX-License-Identifier: Apache-2.0
#include "engine/connection/kept_bytes.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace culvert::connection {
namespace {

// A block is as long as what is held already, within these: few blocks for much, little waste for little.
constexpr std::size_t kSmallestBlock = 2 * 1024;
constexpr std::size_t kLargestBlock = 256 * 1024;
// Of bulk, so many large ones are used again and again: fresh memory costs as much as the copy into it.
constexpr std::size_t kMostSpare = 4;

thread_local std::vector<Bytes> spare;

Bytes take_block(std::size_t capacity) {
  Bytes block;
  if (capacity == kLargestBlock && !spare.empty()) {
    block = std::move(spare.back());
    spare.pop_back();
  } else {
    block.reserve(capacity);
  }
  return block;
}

void give_block(Bytes block) {
  if (block.capacity() != kLargestBlock || spare.size() == kMostSpare) return;
  block.clear();
  spare.push_back(std::move(block));
}

}  // namespace

void KeptBytes::append(ByteView bytes) {
  while (!bytes.empty()) {
    if (blocks_.empty() || blocks_.back().size() == blocks_.back().capacity()) {
      const auto wanted = std::max(bytes.size(), size_);
      blocks_.push_back(take_block(std::clamp(wanted, kSmallestBlock, kLargestBlock)));
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
    give_block(std::move(blocks_[first_]));
  }
  if (first_ >= 16 && first_ * 2 >= blocks_.size()) {
    blocks_.erase(blocks_.begin(), blocks_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void KeptBytes::clear() {
  for (std::size_t i = first_; i < blocks_.size(); ++i) give_block(std::move(blocks_[i]));
  *this = KeptBytes();
}

void KeptBytes::view(std::vector<ByteView>& into, std::size_t most) const {
  for (std::size_t i = first_; i < blocks_.size() && i - first_ < most; ++i) {
    into.push_back(ByteView(blocks_[i]).subspan(i == first_ ? dropped_ : 0));
  }
}

}  // namespace culvert::connection
