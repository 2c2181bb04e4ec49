// SPDX-License-Identifier: Apache-2.0
#include "net/run.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <ctime>
#include <fstream>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "net/on_thread.hpp"
#include "net/readiness.hpp"
#include "net/stream_socket.hpp"
#include "net/timer.hpp"
#include "net/unique_fd.hpp"
#include "net/yield.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::net {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

struct SocketPair {
  explicit SocketPair(asio::io_context& context) {
    std::array<int, 2> fds = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()), 0);
    here = *adopt(context.get_executor(), fds[0], AF_UNIX);
    there = *adopt(context.get_executor(), fds[1], AF_UNIX);
  }
  StreamSocket here, there;
};

asio::awaitable<void> answer(StreamSocket& socket) {
  std::array<std::uint8_t, 16> some = {};
  for (;;) {
    if (!co_await wait_readable(socket)) co_return;
    const Transferred got = socket.read(some);
    if (got.would_block()) continue;
    if (got.bytes == 0) co_return;
    (void)socket.write(ByteView(some).first(got.bytes));
  }
}

asio::awaitable<void> ask(StreamSocket& socket, int times, int& answers) {
  std::array<std::uint8_t, 16> some = {};
  for (int i = 0; i < times; ++i) {
    (void)socket.write(as_bytes("?"));
    while (socket.read(some).would_block()) (void)co_await wait_readable(socket);
    ++answers;
  }
  socket.close();
}

TEST(Run, ServesSocketsAndEndsWhenNothingIsLeft) {
  asio::io_context context(1);
  SocketPair ends(context);
  int answers = 0;
  asio::co_spawn(context, answer(ends.there), asio::detached);
  asio::co_spawn(context, ask(ends.here, 1'000, answers), asio::detached);
  net::run(context);
  EXPECT_EQ(answers, 1'000);
}

TEST(Run, ServesAsioBesideSocketsThatWait) {
  asio::io_context context(1);
  SocketPair ends(context);
  asio::co_spawn(context, answer(ends.there), asio::detached);
  Timer timer(context.get_executor());
  int rings = 0;
  const std::function<void()> next = [&] {
    timer.expires_after(milliseconds(1));
    timer.async_wait([&](const boost::system::error_code&) {
      if (++rings < 20) return next();
      ends.there.close();
    });
  };
  next();
  net::run(context);
  EXPECT_EQ(rings, 20);
}

constexpr int kManyTurns = 1'000'000;

TEST(Run, RingsTimersBesideWhoHasAlwaysMoreToDo) {
  asio::io_context context(1);
  Timer timer(context.get_executor(), milliseconds(5));
  bool has_rung = false;
  timer.async_wait([&](const boost::system::error_code&) { has_rung = true; });
  int yields = 0;
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        while (!has_rung && ++yields < kManyTurns) co_await net::yield();
      },
      asio::detached);
  net::run(context);
  EXPECT_TRUE(has_rung);
  EXPECT_LT(yields, kManyTurns);
}

// What Beast brings along, for one.
TEST(Run, ServesAsiosOwnWaitsWhereItWasToldOfThem) {
  for (const bool is_told_before : {true, false}) {
    asio::io_context context(1);
    SocketPair ends(context);
    asio::co_spawn(context, answer(ends.there), asio::detached);
    Readiness& readiness = Readiness::of(context.get_executor());
    if (is_told_before) ASSERT_TRUE(readiness.serve_asio());
    std::optional<asio::steady_timer> theirs;
    int rings = 0;
    const std::function<void()> next = [&] {
      theirs->expires_after(milliseconds(1));
      theirs->async_wait([&](const boost::system::error_code&) {
        if (++rings < 20) return next();
        ends.there.close();
      });
    };
    asio::post(context, [&] {
      ASSERT_TRUE(readiness.serve_asio());
      theirs.emplace(context);
      next();
    });
    net::run(context);
    EXPECT_EQ(rings, 20);
  }
}

// As before Linux 5.11, or in a container whose filter does not know the call.
int keep_time_without_fine_waits(int error) {
  std::array<sock_filter, 4> rules = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_epoll_pwait2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{static_cast<unsigned short>(rules.size()), rules.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 2;
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return 2;
  asio::io_context context(1);
  int rings = 0;
  Timer timer(context.get_executor());
  const std::function<void()> next = [&] {
    timer.expires_after(std::chrono::microseconds(4'500));
    timer.async_wait([&](const boost::system::error_code&) {
      if (++rings < 10) next();
    });
  };
  const Instant start = monotonic_now();
  const std::clock_t cpu = std::clock();
  next();
  net::run(context);
  if (rings != 10 || monotonic_now() - start < milliseconds(45)) return 1;
  const auto busy = std::chrono::duration<double>(static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC);
  return busy < milliseconds(30) ? 0 : 3;
}

TEST(Run, KeepsTimeWhereTheKernelHasNoFineWait) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const int error : {ENOSYS, EPERM})
    EXPECT_EXIT(::_exit(keep_time_without_fine_waits(error)), ::testing::ExitedWithCode(0), "");
}

TEST(Run, ServesSocketsBesideWhoHasAlwaysMoreToDo) {
  asio::io_context context(1);
  SocketPair ends(context);
  int answers = 0;
  int yields = 0;
  asio::co_spawn(context, answer(ends.there), asio::detached);
  asio::co_spawn(context, ask(ends.here, 10, answers), asio::detached);
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        while (answers < 10 && ++yields < kManyTurns) co_await net::yield();
      },
      asio::detached);
  net::run(context);
  EXPECT_EQ(answers, 10);
  EXPECT_LT(yields, kManyTurns);
}

TEST(Run, ServesSocketsBetweenAnyTwoOfThoseWhoHaveAlwaysMoreToDo) {
  constexpr int kYielders = 8;
  constexpr int kAnswers = 100;
  asio::io_context context(1);
  SocketPair ends(context);
  int answers = 0;
  int yields = 0;
  asio::co_spawn(context, answer(ends.there), asio::detached);
  asio::co_spawn(context, ask(ends.here, kAnswers, answers), asio::detached);
  for (int i = 0; i < kYielders; ++i) {
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
          while (answers < kAnswers && ++yields < 1'000'000) {
            std::this_thread::sleep_for(std::chrono::microseconds(200));
            co_await net::yield();
          }
        },
        asio::detached);
  }
  net::run(context);
  EXPECT_EQ(answers, kAnswers);
  EXPECT_LT(yields, 2 * kAnswers + 4 * kYielders);  // one for the question, one for the answer
}

// A run() that does not hear of what it should ends, too; but late.
constexpr std::chrono::seconds kLate(20);
asio::awaitable<void> deadline(asio::io_context& context) {
  Timer timer(context.get_executor(), 2 * kLate);
  co_await timer.async_wait(asio::use_awaitable);
  context.stop();
}

TEST(Run, HearsOtherThreads) {
  asio::io_context context(1);
  (void)Readiness::of(context.get_executor());  // before there are other threads
  asio::co_spawn(context, deadline(context), asio::detached);
  std::atomic<int> heard = 0;
  const auto start = std::chrono::steady_clock::now();
  std::thread other([&] {
    for (int i = 0; i < 10'000; ++i) {
      post_from_outside(context.get_executor(), [&] { ++heard; });
      if (i % 100 == 0) std::this_thread::sleep_for(milliseconds(1));  // it may be asleep
    }
    post_from_outside(context.get_executor(), [&] { context.stop(); });
  });
  net::run(context);
  EXPECT_EQ(heard, 10'000);
  EXPECT_LT(std::chrono::steady_clock::now() - start, kLate);
  other.join();
}

TEST(Run, HearsWhatAThreadHasMade) {
  asio::io_context context(1);
  asio::thread_pool threads(1);
  asio::co_spawn(context, deadline(context), asio::detached);
  const auto start = std::chrono::steady_clock::now();
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        for (int i = 0; i < 100; ++i) {
          const int got = co_await on_thread(threads, [i] {
            if (i % 10 == 0) std::this_thread::sleep_for(milliseconds(1));
            return i;
          });
          EXPECT_EQ(got, i);
        }
        co_await on_thread(threads, [] {});
        try {
          co_await on_thread(threads, [] { throw std::runtime_error("it cannot"); });
          ADD_FAILURE();
        } catch (const std::runtime_error& error) {
          EXPECT_STREQ(error.what(), "it cannot");
        }
        context.stop();
      },
      asio::detached);
  net::run(context);
  threads.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, kLate);
}

TEST(Run, IsStoppedByOtherThreads) {
  for (int i = 0; i < 100; ++i) {
    asio::io_context context(1);
    SocketPair ends(context);
    asio::co_spawn(context, answer(ends.there), asio::detached);
    asio::co_spawn(context, deadline(context), asio::detached);
    const auto start = std::chrono::steady_clock::now();
    std::thread other([&, i] {
      if (i % 2 == 0) std::this_thread::sleep_for(milliseconds(1));
      stop_from_outside(context);
    });
    net::run(context);
    other.join();
    ASSERT_LT(std::chrono::steady_clock::now() - start, kLate);
  }
}

int interrupted_socket = -1;
constexpr milliseconds kRingsAfter(1'000);
// What a process finds that was stopped in its sleep: bytes have come, and its timers have expired.
void come_late(int) {
  (void)!::write(interrupted_socket, "x", 1);
  timespec pause{.tv_sec = 1, .tv_nsec = 100'000'000};
  ::nanosleep(&pause, nullptr);
}

bool sleeps(pid_t thread) {
  std::ifstream file(fmt::format("/proc/self/task/{}/stat", thread));
  std::string text;
  std::getline(file, text);
  return text.contains(") S ");
}

TEST(Run, HearsSocketsBeforeTimersAfterAnInterruption) {
  asio::io_context context(1);
  SocketPair ends(context);
  std::string order;
  Timer timer(context.get_executor(), kRingsAfter);
  timer.async_wait([&](const boost::system::error_code&) { order += "timer "; });
  asio::co_spawn(
      context,
      [](StreamSocket& here, std::string& heard) -> asio::awaitable<void> {
        (void)co_await wait_readable(here);
        heard += "socket ";
      }(ends.here, order),
      asio::detached);
  interrupted_socket = ends.there.native_handle();
  std::signal(SIGUSR2, come_late);
  std::thread other([me = ::pthread_self(), id = ::gettid()] {
    const auto give_up = std::chrono::steady_clock::now() + kLate;
    while (!sleeps(id) && std::chrono::steady_clock::now() < give_up)
      std::this_thread::sleep_for(milliseconds(1));
    ::pthread_kill(me, SIGUSR2);
  });
  net::run(context);
  other.join();
  std::signal(SIGUSR2, SIG_DFL);
  EXPECT_EQ(order, "socket timer ");
}

TEST(Run, WhatWaitsGoesOnWithTheContextsOwnRun) {
  asio::io_context context(1);
  SocketPair ends(context);
  int answers = 0;
  asio::co_spawn(context, answer(ends.there), asio::detached);
  asio::post(context, [&] { context.stop(); });
  net::run(context);
  for (int i = 0; i < 2; ++i) {
    testing::run(context, [](StreamSocket& here, int& count) -> asio::awaitable<void> {
      std::array<std::uint8_t, 16> some = {};
      (void)here.write(as_bytes("?"));
      while (here.read(some).would_block()) (void)co_await wait_readable(here);
      ++count;
    }(ends.here, answers));
    context.restart();
    asio::post(context, [&] { context.stop(); });
    net::run(context);
  }
  EXPECT_EQ(answers, 2);
}

TEST(Run, WhoWaitedBeforeMayLeaveFirst) {
  struct Nobody final : Readiness::Waiter {
    void ready() override {}
    void cancelled() override {}
    void dropped() override {}
  };
  asio::io_context context(1);
  SocketPair ends(context);
  Nobody waiter;
  ASSERT_TRUE(ends.here.wait(StreamSocket::Direction::in, waiter));  // Asio is told
  asio::post(context, [&] { ends.here.forget(StreamSocket::Direction::in, waiter); });
  net::run(context);
  EXPECT_TRUE(context.stopped());
}

TEST(Run, ManyContextsBesideEachOther) {
  struct One {
    asio::io_context context{1};
    SocketPair ends{context};
  };
  std::array<One, 4> all;
  std::array<int, 4> answers = {};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < all.size(); ++i) {
    threads.emplace_back([&one = all[i], &count = answers[i]] {
      asio::co_spawn(one.context, answer(one.ends.there), asio::detached);
      asio::co_spawn(one.context, ask(one.ends.here, 1'000, count), asio::detached);
      net::run(one.context);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : answers) EXPECT_EQ(count, 1'000);
}

}  // namespace
}  // namespace culvert::net
