// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/log.hpp"
#include "engine/relay/endpoint.hpp"
#include "engine/relay/line_pace.hpp"

namespace culvert::relay {

/// Who was refused, as the event "stream_refused": one line a second at most, since whoever is refused can
/// come again at once. "127.0.0.1:8080: refused 192.0.2.7:40000: not allowed from there (and 12 before it)".
class RefusalLog {
 public:
  /// `source`: its name. `context`: whose it is.
  void add(LogLevel level, std::string_view source, const Endpoint& origin, std::string_view why,
           const LogContext& context = {});

 private:
  LinePace lines_{1};
};

}  // namespace culvert::relay
