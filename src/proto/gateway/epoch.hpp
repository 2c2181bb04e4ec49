// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.hpp"

namespace culvert::gateway {

/// How a router shows that it has lost its mappings: the seconds that it has known them do not go on as time
/// does. RFC 6887 section 8.5; RFC 6886 section 3.6 is as strict towards clocks that go back, and silent
/// about those that run ahead.
class Epoch {
 public:
  /// Of each valid answer, in the order of their arrival. False: the router has lost what it knew.
  [[nodiscard]] bool fits(std::uint32_t seconds, Instant now);

 private:
  struct Seen {
    std::int64_t router;  // seconds
    Instant at;
  };
  std::optional<Seen> last_;
};

}  // namespace culvert::gateway
