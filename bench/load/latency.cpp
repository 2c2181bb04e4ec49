// SPDX-License-Identifier: Apache-2.0
// Round trips of small messages on one stream to the echo server, one after the other, in microseconds.
#include <fmt/core.h>
#include <sys/time.h>

#include <algorithm>
#include <numeric>
#include <thread>
#include <vector>

#include "load/route.hpp"
#include "load/socket.hpp"
#include "load/tool.hpp"

namespace culvert::load {

int latency(Options& options) {
  const Route route = route_from(options);
  const auto size =
      static_cast<std::size_t>(std::clamp<std::int64_t>(options.number("size", 64), 1, 1 << 20));
  const std::int64_t count = options.number("count", 10'000);
  const std::int64_t warmup = options.number("warmup", 200);
  const auto pause = std::chrono::microseconds(options.number("interval-us", 0));
  const double seconds = options.real("seconds", 60);
  options.finish();

  const Fd fd = connect_along(route, 60);
  const timeval patience{60, 0};
  if (setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
    die_errno("SO_RCVTIMEO");
  std::vector<std::uint8_t> out(size, 0x42);
  std::vector<std::uint8_t> in(size);
  std::vector<double> trips;
  const Clock::time_point end = after(seconds);
  for (std::int64_t i = 0; i < warmup + count && Clock::now() < end; ++i) {
    const Clock::time_point start = Clock::now();
    if (!send_all(fd.get(), out) || !receive_all(fd.get(), in)) die("the echo ended early");
    const double trip = seconds_since(start) * 1e6;
    if (in != out) die("the echo is not what was sent");
    if (i >= warmup) trips.push_back(trip);
    if (pause.count() > 0) std::this_thread::sleep_for(pause);
  }
  if (trips.empty()) die("no round trip within the time");
  std::sort(trips.begin(), trips.end());
  fmt::print(
      "{{\"p50_us\": {:.2f}, \"p99_us\": {:.2f}, \"mean_us\": {:.2f}, \"max_us\": {:.2f}, \"count\": {}}}\n",
      percentile(trips, 0.50), percentile(trips, 0.99),
      std::accumulate(trips.begin(), trips.end(), 0.0) / static_cast<double>(trips.size()), trips.back(),
      trips.size());
  return 0;
}

}  // namespace culvert::load
