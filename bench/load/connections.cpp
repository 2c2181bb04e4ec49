// SPDX-License-Identifier: Apache-2.0
// Connections per second: connect (and ask the proxy), one byte there and back, close; some of them in
// parallel, in one thread.
#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "load/cpu.hpp"
#include "load/route.hpp"
#include "load/socket.hpp"
#include "load/tool.hpp"

namespace culvert::load {
namespace {

struct Attempt {
  Fd fd;
  std::size_t exchange = 0;  ///< which of all is under way
  bool asked = false;
  std::vector<std::uint8_t> answer{};
};

enum class Outcome : std::uint8_t { pending, done, failed };

bool ask(Attempt& attempt, const Exchange& exchange) {
  const auto size = static_cast<ssize_t>(exchange.words.size());
  attempt.asked =
      ::send(attempt.fd.get(), exchange.words.data(), exchange.words.size(), MSG_NOSIGNAL) == size;
  return attempt.asked;
}

Outcome turn(Attempt& attempt, std::uint32_t events, const std::vector<Exchange>& exchanges) {
  if (!attempt.asked) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return Outcome::failed;
    if ((events & EPOLLOUT) == 0) return Outcome::pending;
    return ask(attempt, exchanges.front()) ? Outcome::pending : Outcome::failed;
  }
  if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) == 0) return Outcome::pending;
  const Exchange& exchange = exchanges[attempt.exchange];
  const std::size_t had = attempt.answer.size();
  attempt.answer.resize(exchange.answer_size);
  const ssize_t n = ::recv(attempt.fd.get(), attempt.answer.data() + had, exchange.answer_size - had, 0);
  if (n <= 0) return Outcome::failed;
  attempt.answer.resize(had + static_cast<std::size_t>(n));
  if (attempt.answer.size() < exchange.answer_size) return Outcome::pending;
  if (!exchange.accepts(attempt.answer)) return Outcome::failed;
  if (++attempt.exchange == exchanges.size()) return Outcome::done;
  attempt.answer.clear();
  return ask(attempt, exchanges[attempt.exchange]) ? Outcome::pending : Outcome::failed;
}

}  // namespace

int connections(Options& options) {
  const Route route = route_from(options);
  std::vector<Exchange> exchanges = route.greeting;
  exchanges.push_back({.words = {0x21}, .beginning = {0x21}, .answer_size = 1});
  const double seconds = options.real("seconds", 2);
  const std::int64_t parallel = std::clamp<std::int64_t>(options.number("parallel", 16), 1, 1000);
  const CpuTime cpu_of(options.text("cpu-of", ""));
  options.finish();
  raise_file_limit();

  Epoll epoll;
  std::unordered_map<int, Attempt> attempts;
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
  const auto begin = [&] {
    Fd fd = start_connect(route.first);
    if (!fd.is_open()) die_errno("connect");
    const int number = fd.get();
    epoll.add(number, EPOLLIN | EPOLLOUT | EPOLLET);
    attempts.insert_or_assign(number, Attempt{std::move(fd)});
  };
  const double cpu_before = cpu_of.seconds();
  const Clock::time_point start = Clock::now();
  const Clock::time_point end = after(seconds);
  for (std::int64_t i = 0; i < parallel; ++i) begin();
  while (Clock::now() < end) {
    for (const epoll_event& event : epoll.wait(end)) {
      const auto it = attempts.find(event.data.fd);
      const Outcome outcome = turn(it->second, event.events, exchanges);
      if (outcome == Outcome::pending) continue;
      ++(outcome == Outcome::done ? done : failed);
      if (failed > 100) die("more than 100 connections failed");
      attempts.erase(it);
      begin();
    }
  }
  const double took = seconds_since(start);
  const double cpu = cpu_of.seconds() - cpu_before;
  fmt::print(
      "{{\"per_s\": {:.1f}, \"done\": {}, \"failed\": {}, \"seconds\": {:.4f}, \"cpu_us_each\": {:.2f}}}\n",
      static_cast<double>(done) / took, done, failed, took,
      done > 0 ? cpu * 1e6 / static_cast<double>(done) : 0);
  return failed == 0 ? 0 : 1;
}

}  // namespace culvert::load
