// SPDX-License-Identifier: Apache-2.0
#include "net/readiness.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <gtest/gtest.h>

#include "net/connect.hpp"
#include "net/listener.hpp"
#include "net/stream_socket.hpp"
#include "net/unique_fd.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::net {
namespace {

namespace asio = boost::asio;
using Direction = Readiness::Direction;

struct Ends {
  StreamSocket here;
  UniqueFd there;
};

Ends unix_ends(asio::io_context& context) {
  std::array<int, 2> fds = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()), 0);
  return {*adopt(context.get_executor(), fds[0], AF_UNIX), UniqueFd(fds[1])};
}

struct TcpEnds {
  explicit TcpEnds(asio::io_context& context) {
    const asio::ip::tcp::endpoint any(asio::ip::make_address("127.0.0.1"), 0);
    auto listener = Listener::listen_tcp(context.get_executor(), any);
    there = *testing::run(context, connect_tcp({*listener->endpoint()}));
    here = std::move(testing::run(context, listener->accept())->socket);
  }
  StreamSocket here, there;
};

// Whoever waits, and what became of it.
struct Seen final : Readiness::Waiter {
  void ready() override { ++times_ready; }
  void cancelled() override { ++times_cancelled; }
  void dropped() override { ++times_dropped; }
  int times_ready = 0, times_cancelled = 0, times_dropped = 0;
};

void send(int socket, std::string_view text) {
  EXPECT_EQ(try_write(socket, as_bytes(text)).bytes, text.size());
}

TEST(Readiness, ToldOncePerWait) {
  asio::io_context context;
  Ends ends = unix_ends(context);
  Seen seen;
  ASSERT_TRUE(ends.here.wait(Direction::in, seen));
  context.poll();
  EXPECT_EQ(seen.times_ready, 0);
  send(ends.there.get(), "x");
  context.run_one();
  context.poll();
  EXPECT_EQ(seen.times_ready, 1);
  send(ends.there.get(), "y");
  context.restart();
  context.poll();
  EXPECT_EQ(seen.times_ready, 1) << "nobody waits any more";
  EXPECT_TRUE(ends.here.may_try(Direction::in));
}

TEST(Readiness, RemembersUntilNothingIsThere) {
  asio::io_context context;
  Ends ends = unix_ends(context);
  send(ends.there.get(), "xy");
  EXPECT_TRUE(testing::run(context, wait_readable(ends.here)));
  std::array<std::uint8_t, 1> one = {};
  EXPECT_EQ(ends.here.read(one).bytes, 1u);
  EXPECT_TRUE(ends.here.may_try(Direction::in));
  EXPECT_EQ(ends.here.read(one).bytes, 1u);
  EXPECT_TRUE(ends.here.may_try(Direction::in)) << "as far as is known";
  EXPECT_TRUE(ends.here.read(one).would_block());
  EXPECT_FALSE(ends.here.may_try(Direction::in));
}

TEST(Readiness, AShortReadOfTcpTookAllButTheEnd) {
  asio::io_context context;
  TcpEnds ends(context);
  std::array<std::uint8_t, 16> some = {};
  send(ends.there.native_handle(), "first");
  EXPECT_TRUE(testing::run(context, wait_readable(ends.here)));
  EXPECT_EQ(ends.here.read(some).bytes, 5u);
  EXPECT_FALSE(ends.here.may_try(Direction::in)) << "a system call saved";

  send(ends.there.native_handle(), "last");
  ::shutdown(ends.there.native_handle(), SHUT_WR);
  EXPECT_TRUE(testing::run(context, wait_readable(ends.here)));
  EXPECT_EQ(ends.here.read(some).bytes, 4u);
  const auto end = testing::run(context, wait_readable(ends.here));
  EXPECT_TRUE(end) << "the end came with the bytes: no event tells of it again";
  EXPECT_EQ(ends.here.read(some).bytes, 0u);
}

TEST(Readiness, TellsWhenThereIsRoomAgain) {
  asio::io_context context;
  Ends ends = unix_ends(context);
  const std::vector<std::uint8_t> much(1 << 20);
  std::size_t sent = 0;
  for (Transferred put; !(put = ends.here.write(much)).would_block();) sent += put.bytes;
  auto waiting = testing::start(context, wait_writable(ends.here));
  context.poll();
  EXPECT_FALSE(waiting.done());
  std::vector<std::uint8_t> into(1 << 16);
  for (std::size_t got = 0; got < sent;) got += try_read(ends.there.get(), into).bytes;
  EXPECT_TRUE(waiting.wait());
  EXPECT_GT(ends.here.write(much).bytes, 0u);
}

TEST(Readiness, OneThatIsRemovedByAnotherIsNotTold) {
  asio::io_context context;
  Ends first = unix_ends(context), second = unix_ends(context);
  struct Closer final : Readiness::Waiter {
    explicit Closer(StreamSocket& of) : other(of) {}
    void ready() override {
      ++times;
      other.close();
    }
    void cancelled() override { ++cancellations; }
    void dropped() override {}
    StreamSocket& other;
    int times = 0, cancellations = 0;
  };
  Closer one(second.here), other(first.here);
  ASSERT_TRUE(first.here.wait(Direction::in, one));
  ASSERT_TRUE(second.here.wait(Direction::in, other));
  send(first.there.get(), "x");
  send(second.there.get(), "x");
  context.run();
  EXPECT_EQ(one.times + other.times, 1) << "both are in one batch";
  EXPECT_EQ(one.cancellations + other.cancellations, 1);
}

TEST(Readiness, NothingIsLostOfWhatCameWhileNobodyWaited) {
  asio::io_context context;
  TcpEnds ends(context);
  Ends other = unix_ends(context);
  Seen idle, seen;
  ASSERT_TRUE(other.here.wait(Direction::in, idle));  // or nobody would look
  const auto looks = [&] {
    context.restart();
    for (int i = 0; i < 3; ++i) context.poll();
  };
  const auto sends_on = [&] {
    for (int i = 0; i < 4; ++i) {  // the kernel is asked to be quiet at the second one
      send(ends.there.native_handle(), "x");
      looks();
    }
    EXPECT_TRUE(ends.here.may_try(Direction::in));
  };
  sends_on();
  ends.here.met_not_now(Direction::in);
  ASSERT_TRUE(ends.here.wait(Direction::in, seen));
  looks();
  EXPECT_EQ(seen.times_ready, 1) << "it is still there";

  sends_on();
  std::array<std::uint8_t, 16> into = {};
  EXPECT_EQ(ends.here.read(into).bytes, 8u);
  EXPECT_FALSE(ends.here.may_try(Direction::in));
  ASSERT_TRUE(ends.here.wait(Direction::in, seen));
  looks();
  EXPECT_EQ(seen.times_ready, 1) << "nothing is there";
  send(ends.there.native_handle(), "x");
  looks();
  EXPECT_EQ(seen.times_ready, 2);

  sends_on();
  ends.there.close();
  looks();
  EXPECT_TRUE(ends.here.has_sent_end()) << "an end is told of in any case";
  other.here.close();
}

// Its descriptor is open still, elsewhere.
TEST(Readiness, WhatWasLetGoWakesNobody) {
  asio::io_context context;
  Ends leaves = unix_ends(context), stays = unix_ends(context);
  Seen seen;
  ASSERT_TRUE(stays.here.wait(Direction::in, seen));
  const UniqueFd elsewhere = leaves.here.release();
  EXPECT_FALSE(leaves.here.is_open());
  context.poll();
  send(leaves.there.get(), "x");
  EXPECT_EQ(context.poll(), 0u);
  send(stays.there.get(), "x");
  EXPECT_NE(context.poll(), 0u);
  EXPECT_EQ(seen.times_ready, 1);
}

TEST(Readiness, ANumberUsedAgainIsAnotherSocket) {
  asio::io_context context;
  Ends old = unix_ends(context);
  send(old.there.get(), "x");
  EXPECT_TRUE(testing::run(context, wait_readable(old.here)));
  const int number = old.here.native_handle();
  const UniqueFd kept(::dup(number));  // so that the kernel goes on watching it
  old.here.close();
  Ends next = unix_ends(context);
  EXPECT_EQ(next.here.native_handle(), number);
  Seen seen;
  ASSERT_TRUE(next.here.wait(Direction::in, seen));
  send(old.there.get(), "y");
  context.restart();
  context.poll();
  EXPECT_EQ(seen.times_ready, 0);
  next.here.close();
  EXPECT_EQ(seen.times_cancelled, 1);
}

// Whose answer is there each time that it has asked.
struct NeverDone final : Readiness::Waiter {
  explicit NeverDone(Ends& of) : ends(of) {}
  void ask() {
    send(ends.there.get(), "x");
    EXPECT_TRUE(ends.here.wait(Direction::in, *this));
  }
  void ready() override {
    std::array<std::uint8_t, 2> some = {};
    EXPECT_EQ(ends.here.read(some).bytes, 1u);
    ends.here.met_not_now(Direction::in);
    if (++times_ready < 1'000) ask();
  }
  void cancelled() override {}
  void dropped() override {}
  Ends& ends;
  int times_ready = 0;
};

TEST(Readiness, LeavesOthersTheirTurn) {
  asio::io_context context;
  Ends ends = unix_ends(context);
  NeverDone busy(ends);
  busy.ask();
  int turns = 0;
  while (busy.times_ready < 1'000) {
    ++turns;
    asio::post(context, [&] { context.stop(); });
    context.run();
    context.restart();
    ASSERT_LT(turns, 10'000);
  }
  EXPECT_GE(turns, 1'000 / 4) << "what comes at once is served at once, but not without end";
}

TEST(Readiness, LetsTheContextEndWhenNobodyWaits) {
  asio::io_context context;
  Ends ends = unix_ends(context);
  Seen seen;
  ASSERT_TRUE(ends.here.wait(Direction::in, seen));
  ends.here.forget(Direction::in, seen);
  context.run();  // would wait for ever
  EXPECT_EQ(seen.times_ready + seen.times_cancelled + seen.times_dropped, 0);
}

TEST(Readiness, DropsWhoWaitsWithTheContext) {
  auto context = std::make_unique<asio::io_context>();
  Ends ends = unix_ends(*context);
  Seen seen;
  ASSERT_TRUE(ends.here.wait(Direction::in, seen));
  const StreamSocket here = std::move(ends.here);
  auto held = std::make_shared<int>();
  std::weak_ptr<int> watched = held;
  Ends other = unix_ends(*context);
  other.here.async_wait(Direction::in, [held = std::move(held)](bool) {});
  other.here.close();
  const_cast<StreamSocket&>(here).close();
  EXPECT_EQ(seen.times_cancelled, 1);
  context.reset();
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace culvert::net
