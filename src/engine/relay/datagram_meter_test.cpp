// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/datagram_meter.hpp"

#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "base/log.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/temp_dir.hpp"

namespace culvert::relay {
namespace {

using namespace std::chrono_literals;
using Way = DatagramMeter::Way;

/// How much of a run of so many bytes passes; -1: all of it is dropped.
int pass(DatagramMeter& meter, Way way, std::size_t bytes, std::size_t segment, Instant now) {
  const std::string run(bytes, 'x');
  const auto passed = meter.pass(way, as_bytes(run), segment, now);
  if (!passed) return -1;
  EXPECT_EQ(static_cast<const void*>(passed->data()), static_cast<const void*>(run.data()));
  return static_cast<int>(passed->size());
}

TEST(DatagramMeter, WholeDatagramsPassAsTheRateOfTheirDirectionSays) {
  test::ManualClock clock;
  DatagramMeter meter({.out = std::make_shared<Rate>(1000)}, "udp 127.0.0.1:53 -> db:53");
  EXPECT_EQ(pass(meter, Way::out, 2050, 300, clock.now()), 900);
  EXPECT_EQ(meter.dropped(), 4) << "the last one is smaller";
  EXPECT_EQ(pass(meter, Way::out, 300, 300, clock.now()), -1);
  EXPECT_EQ(pass(meter, Way::out, 0, 0, clock.now()), 0) << "an empty one is one, too";
  EXPECT_EQ(pass(meter, Way::out, 100, 100, clock.now()), 100);
  EXPECT_EQ(meter.dropped(), 5);
  clock.advance(300ms);
  EXPECT_EQ(pass(meter, Way::out, 350, 300, clock.now()), 300);
  clock.advance(1h);
  EXPECT_EQ(pass(meter, Way::out, 1001, 1001, clock.now()), -1) << "more than a second's worth";
  EXPECT_EQ(meter.dropped(), 7);
  EXPECT_EQ(pass(meter, Way::in, 1 << 16, 100, clock.now()), 1 << 16);
  EXPECT_EQ(meter.dropped(), 7);
}

TEST(DatagramMeter, SharesItsRateWithOthers) {
  test::ManualClock clock;
  const auto rate = std::make_shared<Rate>(1000);
  DatagramMeter one({.in = rate}, "one"), other({.in = rate}, "other");
  EXPECT_EQ(pass(one, Way::in, 600, 600, clock.now()), 600);
  EXPECT_EQ(pass(other, Way::in, 600, 600, clock.now()), -1);
  EXPECT_EQ(rate->take(500, clock.now()), 400);
  EXPECT_EQ(pass(one, Way::out, 600, 600, clock.now()), 600);
}

// A flood would leave nothing for who waits, and who waits nothing for any datagram.
TEST(DatagramMeter, TakesTurnsWithStreams) {
  test::ManualClock clock;
  const auto rate = std::make_shared<Rate>(10'000);
  DatagramMeter meter({.in = rate}, "one");
  EXPECT_EQ(rate->take(10'000, clock.now()), 10'000u);
  std::size_t datagrams = 0, streams = 0;
  Turn turn = rate->turn(1 << 20, clock.now());
  for (int i = 0; i < 2000; ++i) {  // two seconds
    datagrams += static_cast<std::size_t>(std::max(0, pass(meter, Way::in, 100, 100, clock.now())));
    if (clock.now() >= turn.at) {
      streams += turn.count;
      turn = rate->turn(1 << 20, clock.now());
    }
    clock.advance(1ms);
  }
  EXPECT_NEAR(static_cast<double>(datagrams + streams), 20'000, 500);
  EXPECT_GE(std::min(datagrams, streams), 6000u) << datagrams << " and " << streams;
}

TEST(DatagramMeter, SaysOnceAMinuteWhatItDrops) {
  const testing::TempDir folder;
  const std::string file = folder.path() / "log";
  ASSERT_TRUE(set_up_log(LogLevel::notice, file));
  test::ManualClock clock;
  DatagramMeter meter({.out = std::make_shared<Rate>(1000), .in = std::make_shared<Rate>(500)},
                      "udp 127.0.0.1:53 -> db:53");
  EXPECT_EQ(pass(meter, Way::out, 2000, 100, clock.now()), 1000);
  EXPECT_EQ(pass(meter, Way::in, 600, 100, clock.now()), 500);
  EXPECT_EQ(pass(meter, Way::out, 400, 100, clock.now()), -1);
  clock.advance(1min);
  EXPECT_EQ(pass(meter, Way::out, 1100, 100, clock.now()), 1000);
  ASSERT_TRUE(set_up_log(LogLevel::notice, ""));
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::string out =
      "udp 127.0.0.1:53 -> db:53: datagrams dropped: more than 1000 bytes a second towards targets";
  EXPECT_NE(text.find(out + "\n"), text.npos) << text;
  EXPECT_NE(text.find("db:53: datagrams dropped: more than 500 bytes a second back\n"), text.npos) << text;
  EXPECT_TRUE(text.ends_with(out + " (and 4 before it)\n")) << text;
}

}  // namespace
}  // namespace culvert::relay
