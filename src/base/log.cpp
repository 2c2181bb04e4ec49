// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <atomic>
#include <chrono>
#include <memory>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/log_json.hpp"

namespace culvert {
namespace {

std::atomic<LogLevel> threshold = LogLevel::notice;
std::atomic<LogFormat> form = LogFormat::text;

std::shared_ptr<spdlog::logger> make_logger(spdlog::sink_ptr sink, const char* pattern) {
  auto made = std::make_shared<spdlog::logger>("culvert", std::move(sink));
  made->set_pattern(form == LogFormat::json ? "%v" : pattern);
  made->set_level(spdlog::level::trace);
  made->flush_on(spdlog::level::trace);
  return made;
}

std::shared_ptr<spdlog::logger> logger_to_standard_error() {
  return make_logger(std::make_shared<spdlog::sinks::stderr_sink_mt>(), "culvert: %v");
}

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = logger_to_standard_error();
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

Result<void> set_up_log(LogLevel wanted, const std::string& file, LogFormat format) {
  threshold = wanted;
  form = format;
  try {
    logger() = file.empty() ? logger_to_standard_error()
                            : make_logger(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file),
                                          "%Y-%m-%dT%H:%M:%S.%e%z culvert[%P]: %v");
  } catch (const spdlog::spdlog_ex& error) {
    return fail(Errc::usage, fmt::format("cannot write the log file {}: {}", file, error.what()));
  }
  return {};
}

void set_log_threshold(LogLevel wanted) { threshold = wanted; }

bool log_enabled(LogLevel level) { return level <= threshold.load(std::memory_order_relaxed); }

bool log_has_fields() { return form.load(std::memory_order_relaxed) == LogFormat::json; }

void log_line(LogLevel level, std::string_view event, std::string_view line, const LogFields& fields) {
  if (!log_has_fields()) return logger()->info("{}{}", prefix(level), line);
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  logger()->info("{}", json_line({now, level, event, line}, fields));
}

}  // namespace culvert
