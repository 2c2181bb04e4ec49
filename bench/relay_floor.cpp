// SPDX-License-Identifier: Apache-2.0
// The least that a relay of TCP in user space can cost: a connection that it takes, another that it makes,
// messages, and the ends of both directions. No rules, limits, time-outs, names, counts or log, and it dies
// of the first surprise: what a real relay spends above this is its own.
#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "load/socket.hpp"

namespace {

using namespace culvert;
using load::Fd;

constexpr int kThreads = 2;
constexpr int kEvents = 256;
constexpr std::size_t kRead = std::size_t{64} * 1024;

struct Way {
  Fd listener;
  load::Address target;
};

struct Stream;

/// A socket of a stream, or a listener.
struct Watched {
  Stream* stream = nullptr;
  const Way* way = nullptr;
  Fd fd = {};
  Watched* other = nullptr;
};

struct Stream {
  Watched accepted, dialed;
  int directions = 2;  ///< that have not ended
};

class Relay {
 public:
  explicit Relay(const std::vector<Way>& ways) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (!epoll_.is_open()) load::die_errno("epoll_create1");
    for (const Way& way : ways) {
      listeners_.push_back(std::make_unique<Watched>(Watched{.way = &way}));
      watch(way.listener.get(), EPOLLIN | EPOLLEXCLUSIVE, *listeners_.back());
    }
  }

  void run() {
    std::array<epoll_event, kEvents> events{};
    for (;;) {
      const int count = ::epoll_wait(epoll_.get(), events.data(), kEvents, -1);
      for (int i = 0; i < count; ++i) {
        auto& watched = *static_cast<Watched*>(events[static_cast<std::size_t>(i)].data.ptr);
        if (watched.way != nullptr) {
          begin(*watched.way);
        } else {
          carry(watched, (events[static_cast<std::size_t>(i)].events & EPOLLRDHUP) != 0);
        }
      }
      ended_.clear();
    }
  }

 private:
  void watch(int fd, std::uint32_t events, Watched& watched) {
    epoll_event event{.events = events, .data = {.ptr = &watched}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) load::die_errno("epoll_ctl");
  }

  /// Connections to this machine are there at once, so that what came with the first packet goes on.
  void begin(const Way& way) {
    Fd accepted(::accept4(way.listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted.is_open()) return;
    load::set_no_delay(accepted.get());
    auto* const stream = new Stream;
    stream->accepted = {.stream = stream, .fd = std::move(accepted), .other = &stream->dialed};
    stream->dialed = {.stream = stream, .fd = load::start_connect(way.target), .other = &stream->accepted};
    for (Watched* side : {&stream->accepted, &stream->dialed})
      watch(side->fd.get(), EPOLLIN | EPOLLRDHUP | EPOLLET, *side);
  }

  void carry(Watched& from, bool has_ended) {
    ssize_t got = ::recv(from.fd.get(), buffer_.data(), buffer_.size(), 0);
    if (got > 0) {
      if (::send(from.other->fd.get(), buffer_.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) != got)
        load::die("what was read was not taken at once: this is for small messages");
      if (!has_ended) return;
      got = ::recv(from.fd.get(), buffer_.data(), buffer_.size(), 0);
    }
    if (got != 0 || from.stream->directions == 0) return;
    if (--from.stream->directions > 0) {
      ::shutdown(from.other->fd.get(), SHUT_WR);
    } else {
      ended_.emplace_back(from.stream);
    }
  }

  const Fd epoll_;
  std::vector<std::unique_ptr<Watched>> listeners_;
  std::vector<std::unique_ptr<Stream>> ended_;  ///< of this turn, whose events may name them still
  std::array<std::uint8_t, kRead> buffer_{};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc % 2 == 0) {
    fmt::print(stderr, "usage: {} LISTEN TARGET [LISTEN TARGET]...\n", argv[0]);
    return 2;
  }
  std::vector<Way> ways;
  for (int i = 1; i + 1 < argc; i += 2)
    ways.push_back({load::listen_on(load::parse_address(argv[i])), load::parse_address(argv[i + 1])});
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([&ways] { std::make_unique<Relay>(ways)->run(); });
  for (std::thread& thread : threads) thread.join();
}
