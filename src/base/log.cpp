// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>

#include <unistd.h>

#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include "base/log_json.hpp"
#include "base/patient_writer.hpp"

namespace culvert {
namespace {

std::atomic<LogLevel> threshold = LogLevel::notice;
std::atomic<LogFormat> form = LogFormat::text;

std::string as_json(LogLevel level, std::string_view event, std::string_view line, const LogFields& fields) {
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  return json_line({now, level, event, line}, fields);
}

std::string tell_dropped(std::uint64_t dropped) {
  const auto line = fmt::format("{} lines were dropped here: nobody read them", dropped);
  if (form != LogFormat::json) return fmt::format("culvert: warning: {}\n", line);
  LogFields fields;
  fields.add("dropped", dropped);
  return as_json(LogLevel::warning, "other", line, fields) + '\n';
}

/// Standard error, whose reader must not hold up what is forwarded.
class StandardErrorSink : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    writer_.write({line.data(), line.size()}, message.level >= spdlog::level::err
                                                  ? PatientWriter::Weight::important
                                                  : PatientWriter::Weight::ordinary);
  }
  void flush_() override {}

 private:
  PatientWriter writer_{STDERR_FILENO, tell_dropped};
};

std::shared_ptr<spdlog::logger> make_logger(spdlog::sink_ptr sink, const char* pattern) {
  auto made = std::make_shared<spdlog::logger>("culvert", std::move(sink));
  made->set_pattern(form == LogFormat::json ? "%v" : pattern);
  made->set_level(spdlog::level::trace);
  made->flush_on(spdlog::level::trace);
  return made;
}

std::shared_ptr<spdlog::logger> logger_to_standard_error() {
  return make_logger(std::make_shared<StandardErrorSink>(), "culvert: %v");
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
  const auto weight = level == LogLevel::error ? spdlog::level::err : spdlog::level::info;
  if (!log_has_fields()) return logger()->log(weight, "{}{}", prefix(level), line);
  logger()->log(weight, "{}", as_json(level, event, line, fields));
}

}  // namespace culvert
