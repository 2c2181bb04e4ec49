// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "base/complaint.hpp"
#include "base/guarded.hpp"
#include "base/time.hpp"

namespace culvert::relay {

/// How many streams there may be at once. Copies are one limit: forwards that were given copies, on whatever
/// threads, keep to it together. Thread-safe; who enters meets no lock.
class StreamLimit {
  struct Shared {
    explicit Shared(std::size_t limit) : most(limit) {}
    const std::size_t most;
    std::atomic<std::size_t> taken = 0;
    Guarded<Complaint> complaint;
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
    if (shared_->taken.fetch_add(1, std::memory_order_relaxed) < shared_->most) return Place(shared_);
    shared_->taken.fetch_sub(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  /// After enter() gave none: whether to say so. One line tells of a whole flood.
  [[nodiscard]] bool is_news(Instant now) const { return shared_->complaint.lock()->is_due(now); }
  [[nodiscard]] std::size_t most() const { return shared_->most; }

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace culvert::relay
