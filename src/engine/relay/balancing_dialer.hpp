// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "base/time.hpp"
#include "engine/relay/dialer.hpp"
#include "engine/relay/target_group.hpp"

namespace culvert::relay {

/// Connects to a target of a group: to the one that is chosen, and if that fails at once to the next, to each
/// once at most. What becomes of each is told to the group. A stream holds its lease (Stream::hold), so that
/// nothing stands in the way of its bytes. Names are resolved by `inner`, for each dial.
class BalancingDialer final : public Dialer {
 public:
  /// `inner` must outlive it. After `time` no further target is tried (zero: all of them are); how long one
  /// of them may take is for `inner` to say.
  BalancingDialer(Dialer& inner, std::shared_ptr<TargetGroup> group, Duration time = Duration::zero())
      : inner_(inner), group_(std::move(group)), time_(time) {}

  /// Where to is what the group chooses; the destination is only what a forward calls it. A failure that
  /// is_ours() is no target's, and ends the dial, unless another one may have it (Refusal::no_source).
  [[nodiscard]] Task<Dialed> dial(const Endpoint& destination, const Visit& visit) override;

 private:
  Dialer& inner_;
  const std::shared_ptr<TargetGroup> group_;
  const Duration time_;
};

/// For TargetGroup: a line at `warning` and the event "target_down" ("target 10.0.0.5:80 down: connect
/// failed: Connection refused"), or one at `notice` and "target_up".
void log_target_change(const TargetChange& change);

}  // namespace culvert::relay
