// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/balancing_dialer.hpp"

#include <cstddef>
#include <vector>

#include <fmt/format.h>

#include "base/log.hpp"

namespace culvert::relay {

Task<Dialed> BalancingDialer::dial(const Endpoint& /*destination*/, const Visit& visit) {
  const auto client = address_of(visit.origin());
  const Instant begin = monotonic_now();
  Instant now = begin;
  std::vector<std::size_t> tried;
  for (;;) {
    auto lease = group_->choose(client, tried, now);
    auto dialed = co_await inner_.dial(lease->target(), visit);
    if (dialed) {
      lease->reached();
      (*dialed)->hold(std::make_shared<TargetGroup::Lease>(std::move(*lease)));
      co_return dialed;
    }
    DialError& error = dialed.error();
    // Another one may be reached from the same address and port.
    if (is_ours(error.reason) && error.reason != Refusal::no_source) co_return dialed;
    now = monotonic_now();
    if (!is_ours(error.reason)) lease->failed(error.message, now);
    tried.push_back(lease->index());
    const bool is_last = tried.size() == group_->size() || (time_ > Duration::zero() && now - begin >= time_);
    if (is_last && tried.size() > 1)
      error.message =
          fmt::format("{} targets failed, the last, {}: {}", tried.size(), lease->target(), error.message);
    if (is_last) co_return dialed;
    log(LogLevel::verbose, "target {}: {}; trying the next", lease->target(), error.message);
  }
}

void log_target_change(const TargetChange& change) {
  if (change.is_up) {
    log_event(LogLevel::notice, "target_up", "target {} up ({} of {})", field("target", change.target),
              field("targets_up", change.up), field("targets", change.all));
  } else {
    log_event(LogLevel::warning, "target_down", "target {} down: {}{}", field("target", change.target),
              field("reason", change.reason), change.up == 0 ? "; no target is up: trying them anyway" : "",
              field("targets_up", change.up), field("targets", change.all));
  }
}

}  // namespace culvert::relay
