// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "base/time.hpp"
#include "engine/relay/dialer.hpp"
#include "engine/relay/target_group.hpp"

namespace culvert::relay {

/// Connects to each target of a group now and then, ends the connection at once (by a reset, as haproxy's
/// checks do), and tells the group how it went. Each target is checked on its own, spread over the interval.
/// All calls on one thread; one for a group is enough, whatever threads use that.
class HealthChecks {
 public:
  /// A check starts `interval` after the one before, and fails if it takes longer than `time`. `dialer` must
  /// outlive run().
  HealthChecks(Dialer& dialer, std::shared_ptr<TargetGroup> group,
               Duration interval = std::chrono::seconds(2), Duration time = std::chrono::seconds(2));
  ~HealthChecks();
  HealthChecks(const HealthChecks&) = delete;
  HealthChecks& operator=(const HealthChecks&) = delete;

  /// Once. Returns soon after stop(); nothing of it runs then. Asio cancellation works as stop() does.
  [[nodiscard]] Task<void> run();
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace culvert::relay
