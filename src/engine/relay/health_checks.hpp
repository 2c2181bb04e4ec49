// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "base/time.hpp"
#include "engine/relay/dialer.hpp"
#include "engine/relay/target_group.hpp"

namespace culvert::relay {

struct HealthCheckOptions {
  Duration interval = std::chrono::seconds(2);  ///< from the start of a check to that of the next
  Duration time = std::chrono::seconds(2);      ///< a check that takes longer has failed
  /// Where the checks of a host connect to; 0: to the target's own port.
  std::uint16_t port = 0;
};

/// Connects to each target of a group now and then, ends the connection at once (by a reset, as haproxy's
/// checks do), and tells the group how it went. Each target is checked on its own, spread over the interval.
/// All calls on one thread; one for a group is enough, whatever threads use that.
class HealthChecks {
 public:
  /// `dialer` must outlive run().
  HealthChecks(Dialer& dialer, std::shared_ptr<TargetGroup> group, HealthCheckOptions options = {});
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
