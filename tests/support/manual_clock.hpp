// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"

namespace culvert::test {

/// Time that goes on only when told to.
class ManualClock {
 public:
  [[nodiscard]] Instant now() const { return now_; }
  void advance(Duration span) { now_ += span; }
  void advance_to(Instant when) {
    if (when > now_) now_ = when;
  }

 private:
  Instant now_{std::chrono::hours(1)};
};

}  // namespace culvert::test
