// SPDX-License-Identifier: Apache-2.0
// Connections per second: connect, one byte there and back, close; some of them in parallel, in one thread.
#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>

#include "load/socket.hpp"
#include "load/tool.hpp"

namespace culvert::load {
namespace {

struct Attempt {
  Fd fd;
  bool sent = false;
};

enum class Outcome : std::uint8_t { pending, done, failed };

Outcome turn(Attempt& attempt, std::uint32_t events) {
  std::uint8_t byte = 0x21;
  if (!attempt.sent) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return Outcome::failed;
    if ((events & EPOLLOUT) == 0) return Outcome::pending;
    if (::send(attempt.fd.get(), &byte, 1, MSG_NOSIGNAL) != 1) return Outcome::failed;
    attempt.sent = true;
    return Outcome::pending;
  }
  if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) == 0) return Outcome::pending;
  return ::recv(attempt.fd.get(), &byte, 1, 0) == 1 ? Outcome::done : Outcome::failed;
}

}  // namespace

int connections(Options& options) {
  const Address to = parse_address(options.text("to"));
  const double seconds = options.real("seconds", 2);
  const std::int64_t parallel = std::clamp<std::int64_t>(options.number("parallel", 16), 1, 1000);
  options.finish();
  raise_file_limit();

  Epoll epoll;
  std::unordered_map<int, Attempt> attempts;
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
  const auto begin = [&] {
    Fd fd = start_connect(to);
    if (!fd.is_open()) die_errno("connect");
    const int number = fd.get();
    epoll.add(number, EPOLLIN | EPOLLOUT | EPOLLET);
    attempts.insert_or_assign(number, Attempt{std::move(fd)});
  };
  const Clock::time_point start = Clock::now();
  const Clock::time_point end = after(seconds);
  for (std::int64_t i = 0; i < parallel; ++i) begin();
  while (Clock::now() < end) {
    for (const epoll_event& event : epoll.wait(end)) {
      const auto it = attempts.find(event.data.fd);
      const Outcome outcome = turn(it->second, event.events);
      if (outcome == Outcome::pending) continue;
      ++(outcome == Outcome::done ? done : failed);
      if (failed > 100) die("more than 100 connections failed");
      attempts.erase(it);
      begin();
    }
  }
  const double took = seconds_since(start);
  fmt::print("{{\"per_s\": {:.1f}, \"done\": {}, \"failed\": {}, \"seconds\": {:.4f}}}\n",
             static_cast<double>(done) / took, done, failed, took);
  return failed == 0 ? 0 : 1;
}

}  // namespace culvert::load
