// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

namespace culvert::relay {

/// How many streams there may be at once. Copies are one limit: forwards that were given copies, on whatever
/// threads, keep to it together. Thread-safe, without a lock.
class StreamLimit {
  struct Shared {
    explicit Shared(std::size_t limit) : most(limit) {}
    const std::size_t most;
    std::atomic<std::size_t> taken = 0;
    std::atomic<bool> complained = false;
  };

 public:
  /// Of one stream, until it is destroyed.
  class Place {
   public:
    Place(Place&&) = default;
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (shared_) shared_->taken.fetch_sub(1, std::memory_order_relaxed);
    }

   private:
    friend StreamLimit;
    explicit Place(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
    std::shared_ptr<Shared> shared_;
  };

  StreamLimit(std::size_t most) : shared_(std::make_shared<Shared>(most)) {}

  /// None while all places are taken.
  [[nodiscard]] std::optional<Place> enter() const {
    if (shared_->taken.fetch_add(1, std::memory_order_relaxed) < shared_->most) {
      if (shared_->complained.load(std::memory_order_relaxed)) shared_->complained = false;
      return Place(shared_);
    }
    shared_->taken.fetch_sub(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  /// Whether enter() has given none for the first time since it gave one: one line tells of a whole flood.
  [[nodiscard]] bool is_news() const { return !shared_->complained.exchange(true); }
  [[nodiscard]] std::size_t most() const { return shared_->most; }

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace culvert::relay
