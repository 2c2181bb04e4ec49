// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/refusal_log.hpp"

#include <utility>

#include <fmt/format.h>

namespace culvert::relay {

namespace {

constexpr Duration kLineEvery = std::chrono::seconds(1);

}  // namespace

void RefusalLog::add(LogLevel level, std::string_view source, const Endpoint& origin, std::string_view why,
                     const LogContext& context) {
  if (!log_enabled(level)) return;
  const Instant now = monotonic_now();
  if (last_line_ && now - *last_line_ < kLineEvery) {
    ++untold_;
    return;
  }
  last_line_ = now;
  const std::uint64_t before = std::exchange(untold_, 0);
  log_event(level, "stream_refused", "{}: refused {}: {}{}", source, field("origin", origin),
            field("reason", why), before > 0 ? fmt::format(" (and {} before it)", before) : "", context);
}

}  // namespace culvert::relay
