// SPDX-License-Identifier: Apache-2.0
// The log as the rest of the program sees it; spdlog is behind it. Not for use under src/proto: protocols
// report by events and errors.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/log_fields.hpp"
#include "base/result.hpp"

namespace culvert {

/// `notice` is what a user sees without asking: listeners, ready, refused streams. -v, -vv, -vvv add the
/// levels below it. `none`: a threshold that nothing passes.
enum class LogLevel : std::uint8_t { none, error, warning, notice, verbose, debug, trace };

enum class LogFormat : std::uint8_t {
  text,  ///< a line for people
  json,  ///< an object a line: the same text, and the fields of its event (base/log_json.hpp)
};

/// Where lines go, which, and how. Call before threads exist; the default is standard error, text, at
/// `notice`. With `file` set, lines are appended there, text with its time. Text on standard error reads
/// "culvert: TEXT".
Result<void> set_up_log(LogLevel threshold, const std::string& file, LogFormat format = LogFormat::text);

/// Another one than set_up_log() was given.
void set_log_threshold(LogLevel threshold);

[[nodiscard]] bool log_enabled(LogLevel level);
/// Whether anybody reads fields.
[[nodiscard]] bool log_has_fields();

/// Writes one line. Thread-safe. Text from a peer must have gone through `printable()`. `event`: what
/// happened, for programs: one word of the list in culvert-serve(1).
void log_line(LogLevel level, std::string_view event, std::string_view line, const LogFields& fields = {});

/// A line about an event: arguments that are a field(), or bring fields of their own, are fields of it, too.
/// Those that are for programs alone stand behind what the format uses:
/// `log_event(LogLevel::notice, "login", "{} has come", field("user", name), field("port", port))`.
template <class... Args>
void log_event(LogLevel level, std::string_view event, fmt::format_string<Args...> format, Args&&... args) {
  if (!log_enabled(level)) return;
  LogFields fields;
  if (log_has_fields()) {
    const auto add = [&fields](const auto& argument) {
      if constexpr (requires { add_fields(fields, argument); }) add_fields(fields, argument);
    };
    (add(args), ...);
  }
  log_line(level, event, fmt::format(format, std::forward<Args>(args)...), fields);
}

/// A line that programs do not look for.
template <class... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  log_event(level, "other", format, std::forward<Args>(args)...);
}

}  // namespace culvert
