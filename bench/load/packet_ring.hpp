// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "load/tool.hpp"

namespace culvert::load {

/// Packets one behind the other in one piece of memory, each with the time at which it is due. A packet never
/// wraps.
class PacketRing {
 public:
  struct Head {
    Clock::time_point due;
    std::size_t size;
  };

  PacketRing(std::size_t capacity, std::size_t largest)
      : memory_(std::make_unique_for_overwrite<std::uint8_t[]>(capacity)),
        capacity_(capacity),
        largest_(largest + sizeof(Head)),
        end_(capacity) {}

  [[nodiscard]] bool empty() const { return packets_ == 0; }
  [[nodiscard]] bool full() { return !find_room(); }

  /// Where the next packet goes; call it only when not full().
  [[nodiscard]] std::span<std::uint8_t> room() {
    return {memory_.get() + tail_ + sizeof(Head), largest_ - sizeof(Head)};
  }
  /// The packet now in room() has this size.
  void push(std::size_t size, Clock::time_point due) {
    const Head head{due, size};
    std::memcpy(memory_.get() + tail_, &head, sizeof head);
    tail_ += rounded(size);
    ++packets_;
  }

  [[nodiscard]] Head front() const {
    Head head;
    std::memcpy(&head, memory_.get() + head_, sizeof head);
    return head;
  }
  [[nodiscard]] std::span<const std::uint8_t> packet() const {
    return {memory_.get() + head_ + sizeof(Head), front().size};
  }
  void pop() {
    head_ += rounded(front().size);
    if (--packets_ == 0) {
      head_ = tail_ = 0;
      end_ = capacity_;
    } else if (head_ >= end_) {
      head_ = 0;
      end_ = capacity_;
    }
  }

 private:
  static std::size_t rounded(std::size_t size) { return (sizeof(Head) + size + 15) & ~std::size_t{15}; }

  bool find_room() {
    const bool wrapped = packets_ > 0 && tail_ <= head_;
    if (wrapped) return head_ - tail_ >= largest_ + 16;
    if (capacity_ - tail_ >= largest_ + 16) return true;
    if (head_ < largest_ + 16) return false;
    end_ = tail_;
    tail_ = 0;
    return true;
  }

  std::unique_ptr<std::uint8_t[]> memory_;  // pages that no packet ever reached are never touched
  std::size_t capacity_;
  std::size_t largest_;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
  std::size_t end_;  ///< where the packets behind head_ end, once tail_ has gone back to the start
  std::size_t packets_ = 0;
};

}  // namespace culvert::load
