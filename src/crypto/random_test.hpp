// SPDX-License-Identifier: Apache-2.0
// Random bytes for tests that can be repeated, or chosen.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/bytes.hpp"
#include "crypto/random.hpp"

namespace culvert::crypto {

/// The same bytes for the same seed.
class RepeatableRandom final : public Random {
 public:
  explicit RepeatableRandom(std::uint32_t seed) : engine_(seed) {}
  void fill(MutableBytes out) override {
    std::ranges::generate(out, [this] { return static_cast<std::uint8_t>(engine_()); });
  }
  Bytes bytes(std::size_t size) {
    Bytes out(size);
    fill(out);
    return out;
  }
  std::size_t below(std::size_t limit) { return engine_() % limit; }

 private:
  std::mt19937 engine_;
};

/// Gives out the bytes it was made with, once.
class ChosenRandom final : public Random {
 public:
  explicit ChosenRandom(ByteView bytes) : rest_(copy_of(bytes)) {}
  void fill(MutableBytes out) override {
    ASSERT_LE(out.size(), rest_.size()) << "more random bytes were asked for than expected";
    std::ranges::copy(ByteView(rest_).first(out.size()), out.begin());
    rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(out.size()));
  }

 private:
  Bytes rest_;
};

}  // namespace culvert::crypto
