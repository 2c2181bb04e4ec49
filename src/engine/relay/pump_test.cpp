// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/pump.hpp"

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <gtest/gtest.h>

#include "tests/support/memory_stream.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"

namespace culvert::relay {
namespace {

using testing::MemoryStream;
using testing::MemoryStreamOptions;
using testing::pattern;
using testing::receive_all;
using testing::run;
using testing::send_all;
using testing::start;

/// client <-> a  pump  b <-> server
struct Joined {
  explicit Joined(MemoryStreamOptions a_options = {}, MemoryStreamOptions b_options = {}) {
    MemoryStreamOptions outer;
    outer.capacity = a_options.capacity;
    std::tie(client, a) = MemoryStream::make(context.get_executor(), outer, std::move(a_options));
    outer.capacity = b_options.capacity;
    std::tie(b, server) = MemoryStream::make(context.get_executor(), std::move(b_options), outer);
    pump = std::make_unique<Pump>(*a, *b);
  }

  boost::asio::io_context context;
  std::unique_ptr<MemoryStream> client, a, b, server;
  std::unique_ptr<Pump> pump;
};

struct Squeeze {
  const char* name;
  std::size_t bytes;
  MemoryStreamOptions options;
};

MemoryStreamOptions squeezed(std::size_t capacity, std::size_t read_size, std::size_t view_size,
                             std::size_t write_size, int delay) {
  MemoryStreamOptions options;
  options.capacity = capacity;
  options.read_size = read_size;
  options.view_size = view_size;
  options.write_size = write_size;
  options.delay = delay;
  return options;
}

class PumpSqueezed : public ::testing::TestWithParam<Squeeze> {};

TEST_P(PumpSqueezed, CarriesEveryByteBothWays) {
  Joined joined(GetParam().options, GetParam().options);
  const std::string out = pattern(GetParam().bytes, 1);
  const std::string in = pattern(GetParam().bytes + 1, 2);
  auto pumping = start(joined.context, joined.pump->run());
  auto send_out = start(joined.context, send_all(*joined.client, out));
  auto send_in = start(joined.context, send_all(*joined.server, in));
  auto receive_in = start(joined.context, receive_all(*joined.client));
  const auto received_out = run(joined.context, receive_all(*joined.server));
  const auto received_in = receive_in.wait();
  EXPECT_FALSE(received_out.error);
  EXPECT_FALSE(received_in.error);
  EXPECT_TRUE(received_out.bytes == out);
  EXPECT_TRUE(received_in.bytes == in);
  const auto summary = pumping.wait();
  EXPECT_FALSE(summary.error);
  EXPECT_EQ(summary.a_to_b, out.size());
  EXPECT_EQ(summary.b_to_a, in.size());
  EXPECT_EQ(joined.a->consumed(), out.size());
  EXPECT_EQ(joined.b->consumed(), in.size());
  EXPECT_TRUE(joined.a->closed() && !joined.a->aborted());
  EXPECT_TRUE(joined.b->closed() && !joined.b->aborted());
}

TEST_P(PumpSqueezed, KeepsHalfCloseAnAnswerFollowsTheEnd) {
  for (const bool from_client : {true, false}) {
    Joined joined(GetParam().options, GetParam().options);
    auto& asking = from_client ? *joined.client : *joined.server;
    auto& answering = from_client ? *joined.server : *joined.client;
    const std::string question = pattern(std::min<std::size_t>(GetParam().bytes, 100'000), 3);
    auto pumping = start(joined.context, joined.pump->run());
    auto sending = start(joined.context, send_all(asking, question));
    const auto heard = run(joined.context, receive_all(answering));
    EXPECT_FALSE(heard.error);
    EXPECT_TRUE(heard.bytes == question);
    EXPECT_FALSE(pumping.done());
    auto replying = start(joined.context, send_all(answering, "got it"));
    const auto answer = run(joined.context, receive_all(asking));
    EXPECT_FALSE(answer.error);
    EXPECT_EQ(answer.bytes, "got it");
    EXPECT_FALSE(pumping.wait().error);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Profiles, PumpSqueezed,
    ::testing::Values(Squeeze{"wide", 3 << 20, {}}, Squeeze{"one_byte", 2000, squeezed(1, 1, 1, 1, 0)},
                      Squeeze{"one_byte_delayed", 500, squeezed(1, 1, 1, 1, 3)},
                      Squeeze{"odd_sizes", 100'000, squeezed(1000, 333, 7, 97, 1)},
                      Squeeze{"reads_more_than_fits", 100'000, squeezed(64, 4096, 100, 4096, 2)}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Pump, PassesAResetOn) {
  for (const bool from_client : {true, false}) {
    Joined joined;
    auto& leaving = from_client ? *joined.client : *joined.server;
    auto& staying = from_client ? *joined.server : *joined.client;
    auto pumping = start(joined.context, joined.pump->run());
    ASSERT_TRUE(run(joined.context, send_all(leaving, "half of it", false)));
    EXPECT_EQ(run(joined.context, receive_all(staying, 10)).bytes, "half of it");
    leaving.abort();
    const auto rest = run(joined.context, receive_all(staying));
    ASSERT_TRUE(rest.error);
    EXPECT_EQ(rest.error->code, Errc::reset);
    const auto summary = pumping.wait();
    ASSERT_TRUE(summary.error);
    EXPECT_EQ(summary.error->code, Errc::reset);
    EXPECT_TRUE(joined.a->aborted());
    EXPECT_TRUE(joined.b->aborted());
  }
}

TEST(Pump, PassesAResetOnAfterOneDirectionHasEnded) {
  Joined joined;
  auto pumping = start(joined.context, joined.pump->run());
  ASSERT_TRUE(run(joined.context, send_all(*joined.client, "question")));
  EXPECT_EQ(run(joined.context, receive_all(*joined.server)).bytes, "question");
  joined.server->abort();
  const auto answer = run(joined.context, receive_all(*joined.client));
  ASSERT_TRUE(answer.error);
  EXPECT_EQ(answer.error->code, Errc::reset);
  EXPECT_EQ(pumping.wait().error->code, Errc::reset);
}

TEST(Pump, AStalledReaderHoldsBoundedMemoryAndGivesNoCredit) {
  MemoryStreamOptions a_options;
  a_options.capacity = 1000;
  a_options.read_size = 300;
  MemoryStreamOptions b_options;
  b_options.capacity = 500;
  Joined joined(a_options, b_options);
  auto pumping = start(joined.context, joined.pump->run());
  const std::string all = pattern(10'000, 4);
  auto sending = start(joined.context, send_all(*joined.client, all));
  joined.context.restart();
  joined.context.poll();
  EXPECT_FALSE(sending.done());
  EXPECT_EQ(joined.a->consumed(), 500U);  // what the destination took, and no byte more
  EXPECT_EQ(joined.pump->a_to_b(), 500U);

  // The other direction does not stall with it.
  auto back = start(joined.context, send_all(*joined.server, "meanwhile"));
  EXPECT_EQ(run(joined.context, receive_all(*joined.client)).bytes, "meanwhile");

  EXPECT_TRUE(run(joined.context, receive_all(*joined.server)).bytes == all);
  EXPECT_LE(joined.client->most_waiting(), 1000U);
  EXPECT_LE(joined.b->most_waiting(), 500U);
  EXPECT_FALSE(pumping.wait().error);
}

/// What the far ends saw must fit to what happened: no failure may look like an orderly end of everything.
TEST(Pump, EndsWellWhateverOperationFails) {
  const std::string out = pattern(3000, 5);
  const std::string in = pattern(2000, 6);
  for (const auto code : {Errc::reset, Errc::system, Errc::closed}) {
    for (const bool at_a : {true, false}) {
      for (std::uint64_t n = 1;; ++n) {
        SCOPED_TRACE(::testing::Message() << "operation " << n << (at_a ? " of a" : " of b") << ", code "
                                          << static_cast<int>(code));
        MemoryStreamOptions failing = squeezed(700, 400, 150, 300, 1);
        MemoryStreamOptions sound = failing;
        failing.fail_at = n;
        failing.failure = Error{code, "by the test"};
        Joined joined(at_a ? failing : sound, at_a ? sound : failing);
        auto pumping = start(joined.context, joined.pump->run());
        auto send_out = start(joined.context, send_all(*joined.client, out));
        auto send_in = start(joined.context, send_all(*joined.server, in));
        auto receive_in = start(joined.context, receive_all(*joined.client));
        auto receive_out = start(joined.context, receive_all(*joined.server));
        const auto summary = pumping.wait(std::chrono::seconds(60));
        EXPECT_TRUE(joined.a->closed());
        EXPECT_TRUE(joined.b->closed());
        const auto got_in = receive_in.wait();
        const auto got_out = receive_out.wait();
        (void)send_in.wait();
        (void)send_out.wait();
        EXPECT_TRUE(out.starts_with(got_out.bytes));
        EXPECT_TRUE(in.starts_with(got_in.bytes));
        if ((at_a ? *joined.a : *joined.b).operations() < n) {  // the conversation has no n-th operation
          EXPECT_FALSE(summary.error);
          EXPECT_GT(n, 20U);
          break;
        }
        ASSERT_TRUE(summary.error);
        EXPECT_EQ(summary.error->code, code);
        if (code != Errc::closed) EXPECT_TRUE(joined.a->aborted() && joined.b->aborted());
        if (!got_out.error && !got_in.error) EXPECT_TRUE(got_out.bytes == out || got_in.bytes == in);
      }
    }
  }
}

TEST(Pump, LetsTheAnswerThroughWhenOneEndTakesNoMore) {
  // The server has closed: it takes nothing, but what it said before must arrive.
  MemoryStreamOptions small;
  small.capacity = 100;
  Joined joined(small);
  const std::string answer = pattern(2000, 7);
  auto answering = start(joined.context, send_all(*joined.server, answer));
  testing::run_until(joined.context, [&] { return answering.done(); });
  joined.server->close();
  auto pumping = start(joined.context, joined.pump->run());
  (void)run(joined.context, send_all(*joined.client, "more", false));
  const auto heard = run(joined.context, receive_all(*joined.client));
  EXPECT_FALSE(heard.error);
  EXPECT_TRUE(heard.bytes == answer);
  const auto summary = pumping.wait();
  ASSERT_TRUE(summary.error);
  EXPECT_EQ(summary.error->code, Errc::closed);
  EXPECT_FALSE(joined.a->aborted());
}

// A peer that closed wants nothing of the other direction, and its source need not have anything to say.
TEST(Pump, ClosesBothWhenAllOfAPeerThatClosedHasArrived) {
  for (const bool while_pumping : {false, true}) {
    for (const bool of_a : {false, true}) {
      MemoryStreamOptions channel;
      channel.sees_close = true;
      MemoryStreamOptions slow;
      slow.capacity = 100;
      Joined joined(of_a ? channel : slow, of_a ? slow : channel);
      auto& far = of_a ? *joined.client : *joined.server;
      auto& near = of_a ? *joined.server : *joined.client;
      const auto close = [&] {
        EXPECT_TRUE(run(joined.context, send_all(far, pattern(90, 1), false)));
        far.close();
      };
      if (!while_pumping) close();
      auto pumping = start(joined.context, joined.pump->run());
      if (while_pumping) close();
      const auto heard = run(joined.context, receive_all(near));
      EXPECT_FALSE(heard.error);
      EXPECT_TRUE(heard.bytes == pattern(90, 1));
      const auto summary = pumping.wait();  // although `near` neither ends nor speaks
      EXPECT_FALSE(summary.error);
      EXPECT_TRUE(joined.a->closed() && joined.b->closed());
      EXPECT_FALSE(joined.a->aborted() || joined.b->aborted());
    }
  }
}

TEST(Pump, APeerThatClosesLosesNothingToASlowReader) {
  MemoryStreamOptions channel;
  channel.sees_close = true;
  MemoryStreamOptions slow;
  slow.capacity = 100;
  Joined joined(slow, channel);
  const std::string all = pattern(20'000, 2);
  auto pumping = start(joined.context, joined.pump->run());
  ASSERT_TRUE(run(joined.context, send_all(*joined.server, all, false)));
  joined.server->close();
  joined.context.restart();
  joined.context.poll();
  EXPECT_FALSE(pumping.done());
  const auto heard = run(joined.context, receive_all(*joined.client));
  EXPECT_FALSE(heard.error);
  EXPECT_TRUE(heard.bytes == all);
  EXPECT_FALSE(pumping.wait().error);
}

TEST(Pump, StopsFromOutside) {
  for (const bool by_cancellation : {false, true}) {
    for (const bool one_way_ended : {false, true}) {
      for (const bool stalled : {false, true}) {
        MemoryStreamOptions small;
        small.capacity = 10;
        Joined joined(small, small);
        auto pumping = start(joined.context, joined.pump->run());
        const std::string much = pattern(1000, 8);
        auto sending = start(joined.context,
                             send_all(*joined.client, stalled ? std::string_view(much) : "", one_way_ended));
        joined.context.restart();
        joined.context.poll();
        if (by_cancellation) {
          pumping.cancel();
        } else {
          joined.pump->stop();
        }
        const auto summary = pumping.wait();
        ASSERT_TRUE(summary.error);
        EXPECT_EQ(summary.error->code, Errc::cancelled);
        EXPECT_TRUE(joined.a->aborted() && joined.b->aborted());
        if (!stalled) EXPECT_EQ(run(joined.context, receive_all(*joined.client)).error->code, Errc::reset);
        (void)sending.wait();
      }
    }
  }
}

TEST(Pump, EndsWithItsContext) {
  auto joined = std::make_unique<Joined>();
  auto pumping = std::make_unique<testing::Running<PumpSummary>>(joined->context, joined->pump->run());
  joined->context.poll();
  EXPECT_FALSE(pumping->done());
  pumping.reset();
}

/// A source without end and a destination without limit.
class Endless final : public Stream {
 public:
  Task<Result<std::span<const ByteView>>> read() override {
    if (closed_) co_return cancelled();
    co_return std::span<const ByteView>(&view_, 1);
  }
  void consume(std::size_t) override {}
  void keep() override {}
  Result<std::size_t> write(std::span<const ByteView> bytes) override {
    if (closed_) return fail(Errc::closed, "closed");
    return bytes.front().size();
  }
  Task<Result<void>> writable() override { co_return Result<void>(); }
  void end() override {}
  void close() override { closed_ = true; }
  void abort() override { closed_ = true; }

 private:
  const Bytes bytes_ = Bytes(4096);
  const ByteView view_ = bytes_;
  bool closed_ = false;
};

TEST(Pump, LeavesOthersTheirTurn) {
  for (const bool by_cancellation : {false, true}) {
    boost::asio::io_context context;
    Endless a;
    Endless b;
    Pump pump(a, b);
    auto pumping = start(context, pump.run());
    boost::asio::steady_timer timer(context, std::chrono::milliseconds(5));
    timer.async_wait([&](auto) {
      if (by_cancellation) {
        pumping.cancel();
      } else {
        pump.stop();
      }
    });
    EXPECT_EQ(pumping.wait(std::chrono::seconds(10)).error->code, Errc::cancelled);
    EXPECT_GT(pump.a_to_b(), 0U);
    EXPECT_GT(pump.b_to_a(), 0U);
  }
}

/// Lends what it is given, on the stack of whoever gives it: as the channels of a session do.
class Handed final : public Stream {
 public:
  [[nodiscard]] bool is_awaited() const { return static_cast<bool>(reader_); }
  void hand(ByteView bytes) {
    view_ = bytes;
    std::exchange(reader_, nullptr)();
  }

  Task<Result<std::span<const ByteView>>> read() override {
    co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void()>(
        [this](auto handler) { Reader(std::move(handler)).swap(reader_); }, boost::asio::use_awaitable);
    if (closed_) co_return cancelled();
    co_return std::span<const ByteView>(&view_, 1);
  }
  [[nodiscard]] bool may_read_at_once() const override { return false; }
  void consume(std::size_t) override {}
  void keep() override {}
  Result<std::size_t> write(std::span<const ByteView>) override { return fail(Errc::closed, "closed"); }
  Task<Result<void>> writable() override { co_return fail(Errc::closed, "closed"); }
  void end() override {}
  void close() override { end_reading(); }
  void abort() override { end_reading(); }

 private:
  using Reader = boost::asio::any_completion_handler<void()>;
  void end_reading() {
    closed_ = true;
    if (reader_) std::exchange(reader_, nullptr)();
  }

  Reader reader_;
  ByteView view_;
  bool closed_ = false;
};

TEST(Pump, IsThereForWhatASessionHands) {
  boost::asio::io_context context;
  Handed from;
  Endless to;
  Pump pump(from, to);
  auto pumping = start(context, pump.run());
  context.poll_one();
  const Bytes much(std::size_t{4} << 20);
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(from.is_awaited()) << "after " << i;
    from.hand(much);
  }
  EXPECT_EQ(pump.a_to_b(), 200 * much.size());
  pump.stop();
  (void)pumping.wait();
}

}  // namespace
}  // namespace culvert::relay
