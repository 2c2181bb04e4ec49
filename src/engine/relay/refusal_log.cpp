// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/refusal_log.hpp"

namespace culvert::relay {

void RefusalLog::add(LogLevel level, std::string_view source, const Endpoint& origin, std::string_view why,
                     const LogContext& context) {
  if (!log_enabled(level)) return;
  const auto others = lines_.next(monotonic_now());
  if (!others) return;
  log_event(level, "stream_refused", "{}: refused {}: {}{}", source, field("origin", origin),
            field("reason", why), *others, context);
}

}  // namespace culvert::relay
