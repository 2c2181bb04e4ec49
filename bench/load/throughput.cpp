// SPDX-License-Identifier: Apache-2.0
// Megabytes per second (10^6) through some streams at once, in one thread.
//   down  counts what arrives here between the end of the warm-up and the end of the time
//   up    counts what the sink says has arrived there, until its last answer: bytes in buffers between do not
//   count early
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <unordered_map>

#include "load/cpu.hpp"
#include "load/route.hpp"
#include "load/socket.hpp"
#include "load/tool.hpp"

namespace culvert::load {
namespace {

constexpr double kPatience = 60;  ///< for connecting, and for what is in flight at the end

struct Stream {
  Fd fd;
  std::uint64_t moved = 0;
};

struct Settings {
  Route route;
  std::int64_t streams;
  double warmup;
  double seconds;
  Discard how;
  CpuTime cpu_of;
};

struct Figure {
  std::uint64_t bytes = 0;
  double seconds = 0;
  double cpu = 0;
};

std::unordered_map<int, Stream> open_streams(const Settings& settings, Epoll& epoll, std::uint32_t events) {
  std::unordered_map<int, Stream> streams;
  for (std::int64_t i = 0; i < settings.streams; ++i) {
    Fd fd = connect_along(settings.route, kPatience);
    const int number = fd.get();
    epoll.add(number, events);
    streams.emplace(number, Stream{std::move(fd)});
  }
  return streams;
}

void receive_until(Epoll& epoll, const Settings& settings, Clock::time_point deadline, std::uint64_t& total) {
  while (Clock::now() < deadline) {
    for (const epoll_event& event : epoll.wait(deadline)) {
      const Progress progress = discard_some(event.data.fd, settings.how, total);
      if (progress == Progress::ended) die("the source ended early");
    }
  }
}

Figure down(const Settings& settings) {
  Epoll epoll;
  const auto streams = open_streams(settings, epoll, EPOLLIN);
  std::uint64_t ignored = 0;
  receive_until(epoll, settings, after(settings.warmup), ignored);
  Figure figure;
  const double cpu_before = settings.cpu_of.seconds();
  const Clock::time_point start = Clock::now();
  receive_until(epoll, settings, after(settings.seconds), figure.bytes);
  figure.seconds = seconds_since(start);
  figure.cpu = settings.cpu_of.seconds() - cpu_before;
  return figure;
}

void check_answer(const Stream& stream) {
  std::uint8_t answer[8];
  if (!receive_all(stream.fd.get(), answer)) die("the sink did not answer");
  std::uint64_t arrived = 0;
  for (const std::uint8_t byte : answer) arrived = arrived << 8 | byte;
  if (arrived != stream.moved) die(fmt::format("sent {} bytes, but {} arrived", stream.moved, arrived));
}

Figure up(const Settings& settings) {
  Epoll epoll;
  auto streams = open_streams(settings, epoll, EPOLLOUT);
  const double cpu_before = settings.cpu_of.seconds();
  const Clock::time_point start = Clock::now();
  const Clock::time_point deadline = after(settings.seconds);
  while (Clock::now() < deadline) {
    for (const epoll_event& event : epoll.wait(deadline)) {
      Stream& stream = streams.at(event.data.fd);
      if (send_some(event.data.fd, stream.moved) == Progress::ended) die("the sink ended early");
    }
  }
  for (const auto& [number, stream] : streams) {
    ::shutdown(number, SHUT_WR);
    epoll.modify(number, EPOLLIN);
  }
  Figure figure;
  const Clock::time_point last = after(kPatience);
  while (!streams.empty()) {
    if (Clock::now() >= last) die("the sink does not answer");
    for (const epoll_event& event : epoll.wait(last)) {
      const auto stream = streams.find(event.data.fd);
      check_answer(stream->second);
      figure.bytes += stream->second.moved;
      streams.erase(stream);
    }
  }
  figure.seconds = seconds_since(start);
  figure.cpu = settings.cpu_of.seconds() - cpu_before;
  return figure;
}

}  // namespace

int throughput(Options& options) {
  const std::string direction = options.text("direction");
  const Settings settings{
      .route = route_from(options),
      .streams = std::clamp<std::int64_t>(options.number("streams", 1), 1, 10'000),
      .warmup = options.real("warmup", 0.2),
      .seconds = options.real("seconds", 2),
      .how = options.flag("read") ? Discard::by_reading : Discard::in_kernel,
      .cpu_of = CpuTime(options.text("cpu-of", "")),
  };
  options.finish();
  if (direction != "up" && direction != "down") die("--direction is up or down");
  raise_file_limit();
  const Figure figure = direction == "up" ? up(settings) : down(settings);
  const auto bytes = static_cast<double>(figure.bytes);
  fmt::print("{{\"mb_per_s\": {:.3f}, \"bytes\": {}, \"seconds\": {:.4f}, \"cpu_s_per_gb\": {:.4f}}}\n",
             bytes / 1e6 / figure.seconds, figure.bytes, figure.seconds,
             bytes > 0 ? figure.cpu / (bytes / 1e9) : 0);
  return 0;
}

}  // namespace culvert::load
