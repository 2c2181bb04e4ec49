// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/silence.hpp"

#include <memory>
#include <string>
#include <tuple>

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "engine/relay/metered_stream.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/memory_stream.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"

namespace culvert::relay {
namespace {

using namespace std::chrono_literals;
using testing::MemoryStream;
using testing::run;
using testing::send_all;
using testing::start;

class SilenceTest : public ::testing::Test {
 protected:
  SilenceTest() {
    std::tie(client, a) = MemoryStream::make(context.get_executor());
    std::tie(b, server) = MemoryStream::make(context.get_executor());
  }
  /// Why it is to end after so much more time; empty: it is not.
  std::string look_after(Duration time, const SilenceLimits& limits) {
    context.restart();
    context.poll();
    clock.advance(time);
    return silence.look(*pump, limits, clock.now()).value_or("");
  }

  boost::asio::io_context context;
  test::ManualClock clock;
  std::unique_ptr<MemoryStream> client, a, b, server;
  std::unique_ptr<Pump> pump;
  Silence silence{clock.now()};
};

TEST_F(SilenceTest, LastsUntilSomethingMoves) {
  pump = std::make_unique<Pump>(*a, *b);
  auto pumping = start(context, pump->run());
  const SilenceLimits limits{.idle = 60s};
  EXPECT_EQ(look_after(59s, limits), "");
  ASSERT_TRUE(run(context, send_all(*client, "x", false)));
  EXPECT_EQ(look_after(1s, limits), "");
  EXPECT_EQ(look_after(59s, limits), "");
  ASSERT_TRUE(run(context, send_all(*server, "y", false)));
  EXPECT_EQ(look_after(1s, limits), "");
  EXPECT_EQ(look_after(59s, limits), "");
  EXPECT_EQ(look_after(1s, limits), "idle for 60 s");
}

TEST_F(SilenceTest, EndsWhileAPeerTakesWhatItHasBeforeIt) {
  pump = std::make_unique<Pump>(*a, *b);
  auto pumping = start(context, pump->run());
  const SilenceLimits limits{.idle = 60s};
  ASSERT_TRUE(run(context, send_all(*client, "abc", false)));
  EXPECT_EQ(look_after(1s, limits), "");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(look_after(59s, limits), "");
    ASSERT_TRUE(run(context, server->read()));
    server->consume(1);
    server->keep();
    EXPECT_EQ(look_after(1s, limits), "") << i;
  }
  EXPECT_EQ(look_after(60s, limits), "idle for 60 s");
}

TEST_F(SilenceTest, IsNoneWhileALimitHoldsBytesBack) {
  const auto rate = std::make_shared<Rate>(1);
  auto slow = std::make_unique<MeteredStream>(std::move(b), std::make_unique<RateMeter>(rate, nullptr));
  ASSERT_EQ(rate->take(1, monotonic_now()), 1u);
  pump = std::make_unique<Pump>(*a, *slow);
  auto pumping = start(context, pump->run());
  const SilenceLimits limits{.idle = 60s};
  ASSERT_TRUE(run(context, send_all(*server, "abc", true)));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(look_after(60s, limits), "");
  // What has come is not all: nobody must take it for that.
  pump->expire("its time is over");
  EXPECT_EQ(pumping.wait().error->code, Errc::timed_out);
  EXPECT_TRUE(run(context, testing::receive_all(*client)).error);
}

TEST_F(SilenceTest, HalfClosedItHasALimitOfItsOwn) {
  pump = std::make_unique<Pump>(*a, *b);
  auto pumping = start(context, pump->run());
  const SilenceLimits limits{.idle = 60s, .half_closed = 1500ms};
  EXPECT_EQ(look_after(50s, limits), "");
  client->end();
  EXPECT_EQ(look_after(1s, limits), "") << "its time begins with the end";
  EXPECT_EQ(look_after(1s, limits), "");
  ASSERT_TRUE(run(context, send_all(*server, "y", false)));
  EXPECT_EQ(look_after(1s, limits), "");
  EXPECT_EQ(look_after(2s, limits), "half closed and silent for 1.5 s");
  EXPECT_EQ(look_after(Duration::zero(), {.idle = 60s}), "") << "without one, the other";
  EXPECT_EQ(look_after(60s, {.idle = 60s}), "idle for 60 s");
  EXPECT_EQ(look_after(1h, {}), "");
}

TEST_F(SilenceTest, IsLookedAtFourTimesInItsTime) {
  EXPECT_FALSE(SilenceLimits().any());
  EXPECT_EQ((SilenceLimits{.idle = 60s}.look_every()), 15s);
  EXPECT_EQ((SilenceLimits{.half_closed = 4s}.look_every()), 1s);
  EXPECT_EQ((SilenceLimits{.idle = 60s, .half_closed = 4s}.look_every()), 1s);
  EXPECT_EQ((SilenceLimits{.idle = 1us}.look_every()), 1ms);
}

}  // namespace
}  // namespace culvert::relay
