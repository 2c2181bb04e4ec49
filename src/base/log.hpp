// SPDX-License-Identifier: Apache-2.0
// The log as the rest of the program sees it; spdlog is behind it. Not for use under src/proto: protocols
// report by events and errors.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/result.hpp"

namespace culvert {

/// `notice` is what a user sees without asking: listeners, ready, refused streams. -v, -vv, -vvv add the
/// levels below it. `none`: a threshold that nothing passes.
enum class LogLevel : std::uint8_t { none, error, warning, notice, verbose, debug, trace };

/// Where lines go and which. Call before threads exist; the default is standard error at `notice`.
/// With `file` set, lines are appended there, each with its time. Lines on standard error read "culvert:
/// TEXT".
Result<void> set_up_log(LogLevel threshold, const std::string& file);

/// Another one than set_up_log() was given.
void set_log_threshold(LogLevel threshold);

[[nodiscard]] bool log_enabled(LogLevel level);

/// Writes one line. Thread-safe. Text from a peer must have gone through `printable()`.
void log_line(LogLevel level, std::string_view line);

template <class... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(level)) log_line(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace culvert
