// SPDX-License-Identifier: Apache-2.0
#include "engine/connection/kept_bytes.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace culvert::connection {
namespace {

// A block is as long as what is held already, or comes now, within these: few blocks for much, little waste
// for little.
constexpr std::size_t kSmallestBlock = 2 * 1024;
constexpr std::size_t kLargestBlock = 256 * 1024;
// Of bulk, so many large ones are used again and again: fresh memory costs as much as the copy into it.
constexpr std::size_t kMostSpare = 8;

thread_local std::vector<Bytes> spare;

Bytes take_block(std::size_t wanted) {
  const bool is_bulk = wanted > kLargestBlock / 2;
  Bytes block;
  if (is_bulk && !spare.empty()) {
    block = std::move(spare.back());
    spare.pop_back();
  } else {
    block.reserve(is_bulk ? kLargestBlock : std::max(wanted, kSmallestBlock));
  }
  return block;
}

void give_block(Bytes block) {
  if (block.capacity() != kLargestBlock || spare.size() == kMostSpare) return;
  block.clear();
  spare.push_back(std::move(block));
}

}  // namespace

std::size_t KeptBytes::append(std::span<const ByteView> views, std::size_t skip) {
  const std::size_t offered = size_of(views);
  CULVERT_ASSERT(skip <= offered);
  const std::size_t appended = offered - skip;
  const std::size_t whole = size_ + appended;
  for (const ByteView view : views) {
    const std::size_t skipped = std::min(skip, view.size());
    skip -= skipped;
    for (ByteView bytes = view.subspan(skipped); !bytes.empty();) {
      const ByteView piece = bytes.first(std::min(bytes.size(), room_for(whole - size_)));
      Bytes& block = blocks_.back();
      block.insert(block.end(), piece.begin(), piece.end());
      size_ += piece.size();
      bytes = bytes.subspan(piece.size());
    }
  }
  return appended;
}

// In the last block, when `more` bytes are to come; at least one.
std::size_t KeptBytes::room_for(std::size_t more) {
  if (blocks_.empty() || blocks_.back().size() == blocks_.back().capacity())
    blocks_.push_back(take_block(std::max(more, size_)));
  return blocks_.back().capacity() - blocks_.back().size();
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
