// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "base/time.hpp"

namespace culvert {

/// One line in the log for a whole flood.
class Complaint {
 public:
  /// At most once a minute.
  [[nodiscard]] bool is_due(Instant now) {
    if (said_ && now - *said_ < std::chrono::minutes(1)) return false;
    said_ = now;
    return true;
  }

 private:
  std::optional<Instant> said_;
};

}  // namespace culvert
