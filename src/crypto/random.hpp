// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"

namespace culvert::crypto {

/// Where random bytes come from. Protocol machines are given one, so that tests can repeat a conversation.
class Random {
 public:
  virtual ~Random() = default;
  /// Fills all of `out`. A source that fails ends the process: nothing can go on without it.
  virtual void fill(MutableBytes out) = 0;
};

/// The system's generator (OpenSSL's, seeded by the kernel). Any thread.
class SystemRandom final : public Random {
 public:
  void fill(MutableBytes out) override;
};

}  // namespace culvert::crypto
