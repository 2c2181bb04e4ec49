// SPDX-License-Identifier: Apache-2.0
#include "net/watched_fd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "tests/support/run_task.hpp"

namespace culvert::net {
namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends = {-1, -1};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    out = UniqueFd(ends[0]);
    in = UniqueFd(ends[1]);
  }
  void put() const { EXPECT_EQ(::write(in.get(), "xy", 2), 2); }
  UniqueFd in, out;
};

void take_one(const WatchedFd& from) {
  char byte = 0;
  EXPECT_EQ(::read(from.get(), &byte, 1), 1);
}

class WatchedFdTest : public ::testing::Test {
 protected:
  Pipe pipe_;
  boost::asio::io_context io_{1};
  WatchedFd watched_ = *WatchedFd::watch(io_.get_executor(), std::move(pipe_.out));
};

TEST_F(WatchedFdTest, TellsOfWhatIsThereEachTimeItIsAsked) {
  pipe_.put();
  EXPECT_TRUE(testing::run(io_, watched_.wait_readable()));
  EXPECT_TRUE(testing::run(io_, watched_.wait_readable())) << "nobody has read it";
  take_one(watched_);
  EXPECT_TRUE(testing::run(io_, watched_.wait_readable())) << "one byte is left";
  take_one(watched_);
  auto waiting = testing::start(io_, watched_.wait_readable());
  io_.restart();
  io_.poll();
  EXPECT_FALSE(waiting.done());
  pipe_.put();
  EXPECT_TRUE(waiting.wait());
}

TEST_F(WatchedFdTest, TellsOfTheEnd) {
  pipe_.in.reset();
  EXPECT_TRUE(testing::run(io_, watched_.wait_readable()));
  EXPECT_TRUE(testing::run(io_, watched_.wait_readable()));
}

TEST_F(WatchedFdTest, WaitsAgainAfterACancellation) {
  for (const bool by_asio : {false, true}) {
    auto waiting = testing::start(io_, watched_.wait_readable());
    io_.restart();
    io_.poll();
    if (by_asio) {
      waiting.cancel();
    } else {
      watched_.cancel();
    }
    EXPECT_EQ(waiting.wait().error().code, Errc::cancelled);
  }
  pipe_.put();
  EXPECT_TRUE(testing::run(io_, watched_.wait_readable()));
}

TEST_F(WatchedFdTest, ClosedItIsWaitedForNoMore) {
  auto waiting = testing::start(io_, watched_.wait_readable());
  io_.poll();
  watched_.close();
  watched_.close();
  EXPECT_FALSE(watched_.is_open());
  EXPECT_EQ(waiting.wait().error().code, Errc::cancelled);
  EXPECT_EQ(testing::run(io_, watched_.wait_readable()).error().code, Errc::cancelled);
}

TEST_F(WatchedFdTest, AHandlerIsToldFromTheLoop) {
  pipe_.put();
  int told = 0;
  for (int i = 1; i <= 2; ++i) {
    watched_.async_wait([&](bool is_readable) { told += is_readable ? 1 : 100; });
    EXPECT_EQ(told, i - 1) << "not from inside";
    testing::run_until(io_, [&] { return told == i; });
  }
}

TEST_F(WatchedFdTest, LeavesTheFlagsAsTheyAre) {
  EXPECT_EQ(::fcntl(watched_.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(WatchedFdTest, CannotWatchAFile) {
  const auto file =
      WatchedFd::watch(io_.get_executor(), UniqueFd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)));
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().detail, EPERM);
}

}  // namespace
}  // namespace culvert::net
