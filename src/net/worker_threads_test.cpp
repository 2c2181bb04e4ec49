// SPDX-License-Identifier: Apache-2.0
#include "net/worker_threads.hpp"

#include <array>
#include <atomic>
#include <future>
#include <set>
#include <thread>

#include <sys/socket.h>

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "net/run.hpp"
#include "net/stream_socket.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::net {
namespace {

namespace asio = boost::asio;

std::thread::id thread_of(const asio::any_io_executor& executor) {
  std::promise<std::thread::id> promise;
  auto id = promise.get_future();
  post_from_outside(executor, [&] { promise.set_value(std::this_thread::get_id()); });
  return id.get();
}

TEST(WorkerThreads, RunWhatIsPostedToThem) {
  WorkerThreads workers(4);
  ASSERT_EQ(workers.count(), 3u) << "one is the caller's";
  workers.start();
  std::set<std::thread::id> ids{std::this_thread::get_id()};
  for (std::size_t i = 0; i < workers.count(); ++i) {
    const auto id = thread_of(workers.executor(i));
    EXPECT_EQ(thread_of(workers.executor(i)), id);
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 4u);
}

TEST(WorkerThreads, NobodyBesidesTheCaller) {
  WorkerThreads workers(1);
  EXPECT_EQ(workers.count(), 0u);
  workers.start();
}

TEST(WorkerThreads, NothingRunsAfterStop) {
  WorkerThreads workers(2);
  std::atomic<int> ran = 0;
  post_from_outside(workers.executor(0), [&] { ++ran; });
  EXPECT_EQ(ran, 0) << "not started yet";
  workers.start();
  (void)thread_of(workers.executor(0));
  workers.stop();
  post_from_outside(workers.executor(0), [&] { ++ran; });
  workers.stop();
  EXPECT_EQ(ran, 1);
}

TEST(WorkerThreads, ASocketGoesOnOnAnotherThread) {
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()), 0);
  const UniqueFd far(pair[1]);
  asio::io_context io{1};
  auto socket = *adopt(io.get_executor(), pair[0]);
  WorkerThreads workers(2);
  std::atomic<bool> had = false;
  asio::co_spawn(
      workers.executor(0),
      [](asio::any_io_executor executor, UniqueFd fd, std::atomic<bool>& done) -> asio::awaitable<void> {
        auto here = *adopt(executor, fd.release());
        std::array<std::uint8_t, 1> byte{};
        while (here.read(byte).bytes == 0) (void)co_await wait_readable(here);
        done = true;
      }(workers.executor(0), socket.release(), had),
      asio::detached);
  EXPECT_FALSE(socket.is_open());
  workers.start();
  ASSERT_EQ(::send(far.get(), "x", 1, 0), 1);
  testing::poll_until(io, [&] { return had.load(); });
}

}  // namespace
}  // namespace culvert::net
