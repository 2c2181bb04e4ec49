// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/log.hpp"

namespace culvert {

/// What every line has.
struct LogRecord {
  std::chrono::sys_time<std::chrono::milliseconds> time;
  LogLevel level;
  std::string_view event, message;
};

/// {"time":"2026-11-27T09:30:00.250Z","level":"notice","event":"login","message":"...",FIELDS}: one JSON
/// object (RFC 8259) without a line break; its time is RFC 3339, UTC. What is not fit for a line in any text
/// of it is escaped as printable() does: what comes out is valid UTF-8 whatever goes in. A field has no name
/// of those four.
[[nodiscard]] std::string json_line(const LogRecord& record, const LogFields& fields);

}  // namespace culvert
