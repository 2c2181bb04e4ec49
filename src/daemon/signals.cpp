// SPDX-License-Identifier: Apache-2.0
#include "daemon/signals.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>

#include "base/assert.hpp"

namespace culvert::daemon {
namespace {

namespace asio = boost::asio;

struct Watched {
  int number;
  struct sigaction before;
  bool changed;
};

// What the handler touches. Set before the first handler is installed, and lock-free.
std::array<Watched, 4> watched = {
    {{SIGINT, {}, false}, {SIGTERM, {}, false}, {SIGHUP, {}, false}, {SIGUSR1, {}, false}}};
std::atomic<int> first_signal = 0;
std::atomic<bool> asked = false;
std::atomic<int> wake_fd = -1;
std::atomic<void (*)()> last_words = nullptr;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free &&
              std::atomic<void (*)()>::is_always_lock_free);

void wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_fd, &one, sizeof one);
}

void on_signal(int number) {
  const int saved = errno;
  int none = 0;
  if (number == SIGUSR1) {
    asked = true;
    wake();
  } else if (first_signal.compare_exchange_strong(none, number)) {
    wake();
  } else if (number != SIGHUP) {
    if (void (*words)() = last_words) words();
    ::_exit(128 + number);
  }
  errno = saved;
}

}  // namespace

Signals::Signals(const asio::any_io_executor& executor, void (*words)()) {
  const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  CULVERT_ASSERT(fd >= 0 && wake_fd == -1);
  auto watched_wake = net::WatchedFd::watch(executor, net::UniqueFd(fd));
  CULVERT_ASSERT(watched_wake);
  wake_ = *std::move(watched_wake);
  wake_fd = fd;
  first_signal = 0;
  asked = false;
  last_words = words;
  for (Watched& one : watched) {
    ::sigaction(one.number, nullptr, &one.before);
    one.changed = one.before.sa_handler != SIG_IGN;
    if (!one.changed) continue;
    struct sigaction action{};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    ::sigaction(one.number, &action, nullptr);
  }
}

Signals::~Signals() {
  for (const Watched& one : watched) {
    if (one.changed) ::sigaction(one.number, &one.before, nullptr);
  }
  wake_fd = -1;
}

asio::awaitable<int> Signals::next() {
  while (first_signal == 0) {
    if (asked.exchange(false)) co_return SIGUSR1;
    if (!co_await wake_.wait_readable()) co_return 0;
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t read = ::read(wake_.get(), &count, sizeof count);
  }
  co_return first_signal.load();
}

}  // namespace culvert::daemon
