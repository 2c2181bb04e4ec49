// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <atomic>
#include <memory>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace culvert {
namespace {

std::atomic<LogLevel> threshold = LogLevel::notice;

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = [] {
    auto made =
        std::make_shared<spdlog::logger>("culvert", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("culvert: %v");
    made->set_level(spdlog::level::trace);
    return made;
  }();
  return instance;
}

std::string_view prefix(LogLevel level) {
  switch (level) {
    case LogLevel::warning:
      return "warning: ";
    case LogLevel::verbose:
      return "debug1: ";
    case LogLevel::debug:
      return "debug2: ";
    case LogLevel::trace:
      return "debug3: ";
    case LogLevel::none:
    case LogLevel::error:
    case LogLevel::notice:
      break;
  }
  return "";
}

}  // namespace

Result<void> set_up_log(LogLevel wanted, const std::string& file) {
  threshold = wanted;
  if (file.empty()) return {};
  try {
    auto made = std::make_shared<spdlog::logger>("culvert",
                                                 std::make_shared<spdlog::sinks::basic_file_sink_mt>(file));
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z culvert[%P]: %v");
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    logger() = std::move(made);
  } catch (const spdlog::spdlog_ex& error) {
    return fail(Errc::usage, fmt::format("cannot write the log file {}: {}", file, error.what()));
  }
  return {};
}

void set_log_threshold(LogLevel wanted) { threshold = wanted; }

bool log_enabled(LogLevel level) { return level <= threshold.load(std::memory_order_relaxed); }

void log_line(LogLevel level, std::string_view line) { logger()->info("{}{}", prefix(level), line); }

}  // namespace culvert
