// SPDX-License-Identifier: Apache-2.0
#include "engine/server/stream_meter.hpp"

#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "tests/support/manual_clock.hpp"
#include "tests/support/test_keys.hpp"

namespace culvert::server {
namespace {

using namespace std::chrono_literals;
using Way = relay::Meter::Way;

// Of a direct stream: what its target sends, which is read, goes to the client.
class StreamMeterTest : public ::testing::TestWithParam<std::pair<bool, bool>> {
 protected:
  static std::shared_ptr<const Permit> permit() {
    const auto [of_user, of_key] = GetParam();
    Permit permit{.user = "alice",
                  .fingerprint = "SHA256:x",
                  .key_name = {},
                  .grants = {},
                  .of_user = std::make_shared<Usage>(),
                  .of_key = std::make_shared<Usage>(),
                  .account = "alice",
                  .key = test::user_key().public_key(),
                  .options = {}};
    if (of_user) permit.grants.user_limits.bytes_per_second_out = 100'000;
    if (of_key) permit.grants.key_limits.bytes_per_second_out = 100'000;
    return std::make_shared<const Permit>(std::move(permit));
  }

  test::ManualClock clock;
  StreamMeter meter{
      Place::of_stream(permit()).value(),
      {ClientName("192.0.2.7", 51234), Direction::direct, relay::HostPort{"db", 5432}, relay::HostPort{}}};
};

TEST_P(StreamMeterTest, KeepsToBothRates) {
  const relay::Turn first = meter.turn(Way::read, 150'000, clock.now());
  EXPECT_EQ(first.count, 100'000u);
  EXPECT_EQ(first.at, clock.now());
  const relay::Turn written = meter.turn(Way::written, 150'000, clock.now());
  EXPECT_EQ(written.count, 150'000u) << "the other way has none";
}

// Whichever of them it is, one turn is for more than what is there now.
TEST_P(StreamMeterTest, TurnsAreForMoreThanIsWantedNow) {
  ASSERT_EQ(meter.turn(Way::read, 100'000, clock.now()).count, 100'000u);
  const relay::Turn next = meter.turn(Way::read, 100, clock.now());
  EXPECT_GE(next.count, 400u);
  EXPECT_GT(next.at, clock.now());
  EXPECT_LE(next.at - clock.now(), Duration(20ms));
  clock.advance(1s);
  meter.give_back(Way::read, next.count);
  EXPECT_EQ(meter.turn(Way::read, 100'000, clock.now() + 1s).count, 100'000u) << "what was not used is back";
}

INSTANTIATE_TEST_SUITE_P(Rates, StreamMeterTest,
                         ::testing::Values(std::pair(true, false), std::pair(false, true),
                                           std::pair(true, true)));

}  // namespace
}  // namespace culvert::server
