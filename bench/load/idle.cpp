// SPDX-License-Identifier: Apache-2.0
// Holds streams that have each moved one byte there and back, until standard input ends.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "load/route.hpp"
#include "load/socket.hpp"
#include "load/tool.hpp"

namespace culvert::load {

int idle(Options& options) {
  const Route route = route_from(options);
  const std::int64_t count = std::clamp<std::int64_t>(options.number("streams", 1000), 1, 100'000);
  options.finish();
  raise_file_limit();

  std::vector<Fd> streams;
  for (std::int64_t i = 0; i < count; ++i) {
    Fd fd = connect_along(route, 60);
    std::uint8_t byte[1] = {0x21};
    if (!send_all(fd.get(), byte) || !receive_all(fd.get(), byte))
      die(fmt::format("stream {} ended early", i + 1));
    streams.push_back(std::move(fd));
  }
  fmt::print("{{\"streams\": {}}}\n", streams.size());
  std::fflush(stdout);
  char ignored[256];
  while (::read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
  }
  return 0;
}

}  // namespace culvert::load
