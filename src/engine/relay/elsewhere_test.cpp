// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/elsewhere.hpp"

#include <memory>
#include <thread>

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

#include "net/worker_threads.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::relay {
namespace {

namespace asio = boost::asio;

Task<std::thread::id> thread_after(Duration time) {
  Signal pause(co_await asio::this_coro::executor);
  co_await pause.wait(time);
  co_return std::this_thread::get_id();
}

Task<bool> comes_home(asio::any_io_executor there, Duration time) {
  const auto home = std::this_thread::get_id();
  const auto other = co_await elsewhere<std::thread::id>(there, [time] { return thread_after(time); });
  co_return other != home&& std::this_thread::get_id() == home;
}

TEST(Elsewhere, RunsThereAndReturnsHere) {
  asio::io_context io{1};
  net::WorkerThreads workers(2);  // stops first: it still wakes the other one
  workers.start();
  EXPECT_TRUE(testing::run(io, comes_home(workers.executor(0), Duration::zero())));
  EXPECT_TRUE(testing::run(io, comes_home(workers.executor(0), std::chrono::milliseconds(5))));
}

TEST(Elsewhere, MayBeOnTheSameThread) {
  asio::io_context io{1};
  const auto there = testing::run(
      io, elsewhere<std::thread::id>(io.get_executor(), [] { return thread_after(Duration::zero()); }));
  EXPECT_EQ(there, std::this_thread::get_id());
}

// Each context takes its own coroutines with it, and holds nothing that needs the other.
TEST(Elsewhere, ContextsEndInAnyOrderInTheMidstOfIt) {
  for (const bool home_first : {true, false}) {
    auto workers = std::make_unique<net::WorkerThreads>(2);
    auto io = std::make_unique<asio::io_context>(1);
    const auto started = std::make_shared<std::atomic<bool>>(false);
    workers->start();
    asio::co_spawn(*io,
                   elsewhere<bool>(workers->executor(0),
                                   [started]() -> Task<bool> {
                                     return [](std::shared_ptr<std::atomic<bool>> tells) -> Task<bool> {
                                       *tells = true;
                                       (void)co_await thread_after(std::chrono::hours(1));
                                       co_return true;
                                     }(started);
                                   }),
                   asio::detached);
    testing::poll_until(*io, [&] { return started->load(); });
    workers->stop();
    if (home_first) io.reset();
    workers.reset();
    io.reset();
  }
}

}  // namespace
}  // namespace culvert::relay
