// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.hpp"
#include "engine/relay/pump.hpp"

namespace culvert::relay {

/// After which silence a stream is ended. Zero: never.
struct SilenceLimits {
  /// No byte either way.
  Duration idle = Duration::zero();
  /// One direction has ended, and the other brings nothing any more; in place of `idle` then, if it is set.
  Duration half_closed = Duration::zero();

  [[nodiscard]] bool any() const { return idle > Duration::zero() || half_closed > Duration::zero(); }
  /// How often to look at a stream: a quarter of the shorter one. It ends that much too late at most.
  [[nodiscard]] Duration look_every() const;
};

/// How long one stream has been silent, told by looking at it now and then: a byte costs nothing.
class Silence {
 public:
  explicit Silence(Instant now) : since_(now) {}
  /// Why to end it, if its time is over.
  [[nodiscard]] std::optional<std::string> look(const Pump& pump, const SilenceLimits& limits, Instant now) {
    if (pump.is_held_back()) since_ = now;
    return look(pump.progress(), pump.is_half_closed(), limits, now);
  }
  /// The same of what is no pump: `moved` is any count of what went both ways.
  [[nodiscard]] std::optional<std::string> look(std::uint64_t moved, bool half_closed,
                                                const SilenceLimits& limits, Instant now);

 private:
  std::uint64_t seen_ = 0;  ///< what had moved
  bool half_closed_ = false;
  Instant since_;
};

}  // namespace culvert::relay
