// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <type_traits>
#include <utility>

namespace culvert {

/// A value that several threads use, one at a time: there is no way to it but by lock(). T may be a
/// reference, to what must outlive it.
template <class T>
class Guarded {
 public:
  using Value = std::remove_reference_t<T>;

  /// Holds the others up until it is destroyed. Nobody holds two, and nobody waits for something with one.
  class Locked {
   public:
    [[nodiscard]] Value* operator->() const { return &value_; }

   private:
    friend class Guarded;
    Locked(std::mutex& mutex, Value& value) : lock_(mutex), value_(value) {}

    const std::lock_guard<std::mutex> lock_;
    Value& value_;
  };

  template <class... Arguments>
  explicit Guarded(Arguments&&... arguments) : value_(std::forward<Arguments>(arguments)...) {}
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  [[nodiscard]] Locked lock() { return Locked(mutex_, value_); }

 private:
  std::mutex mutex_;
  T value_;
};

}  // namespace culvert
