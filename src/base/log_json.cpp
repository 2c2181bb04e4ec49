// SPDX-License-Identifier: Apache-2.0
#include "base/log_json.hpp"

#include <limits>
#include <type_traits>

#include <fmt/chrono.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/text.hpp"

namespace culvert {
namespace {

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::none:
    case LogLevel::error:
      return "error";
    case LogLevel::warning:
      return "warning";
    case LogLevel::notice:
      return "notice";
    case LogLevel::verbose:
      return "verbose";
    case LogLevel::debug:
      return "debug";
    case LogLevel::trace:
      break;
  }
  return "trace";
}

// Boost.JSON escapes control characters and trusts the rest to be UTF-8.
boost::json::value json_of(std::string_view text) {
  if (is_printable(text)) return boost::json::value(text);
  return boost::json::value(printable(text, std::numeric_limits<std::size_t>::max()));
}

template <class T>
  requires std::is_arithmetic_v<T>
boost::json::value json_of(T number) {
  return boost::json::value(number);
}

std::string rfc3339(std::chrono::sys_time<std::chrono::milliseconds> time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%FT%T}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                     (time - seconds).count());
}

}  // namespace

std::string json_line(const LogRecord& record, const LogFields& fields) {
  boost::json::object line;
  line.emplace("time", rfc3339(record.time));
  line.emplace("level", name_of(record.level));
  line.emplace("event", json_of(record.event));
  line.emplace("message", json_of(record.message));
  for (const auto& [name, value] : fields.all())
    line.emplace(name, std::visit([](const auto& one) { return json_of(one); }, value));
  return boost::json::serialize(line);
}

}  // namespace culvert
