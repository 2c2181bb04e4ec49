// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/mux/output_pacer.hpp"

#include <gtest/gtest.h>

namespace culvert::ssh {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kLeast = 64 * 1024;
constexpr std::size_t kMost = 2 << 20;

// A network that takes `rate` bytes per second, in steps.
class Network {
 public:
  explicit Network(OutputPacer& pacer) : pacer_(pacer) {}
  void take(std::size_t rate, Duration span, Duration step = milliseconds(5)) {
    for (Duration passed{}; passed < span; passed += step) {
      now_ += step;
      pacer_.consumed(rate * static_cast<std::size_t>(step.count()) / 1'000'000, now_);
    }
  }
  void pause(Duration span) { now_ += span; }

 private:
  OutputPacer& pacer_;
  Instant now_{std::chrono::hours(1)};
};

TEST(OutputPacer, HoldsWhatTheNetworkTakesInAFewTenMilliseconds) {
  OutputPacer pacer(kLeast, kMost);
  Network network(pacer);
  const std::size_t first = pacer.limit();
  EXPECT_GE(first, kLeast);
  EXPECT_LE(first, kMost);
  for (const std::size_t rate : {20'000'000u, 8'000'000u, 60'000'000u}) {
    network.take(rate, milliseconds(500));
    EXPECT_GE(pacer.limit(), rate / 50) << rate;  // 20 ms
    EXPECT_LE(pacer.limit(), rate / 20) << rate;  // 50 ms
  }
}

TEST(OutputPacer, StaysWithinItsBounds) {
  OutputPacer pacer(kLeast, kMost);
  Network network(pacer);
  network.take(5'000'000'000, seconds(1));
  EXPECT_EQ(pacer.limit(), kMost);
  network.take(1000, seconds(1));
  EXPECT_EQ(pacer.limit(), kLeast);
  network.take(0, seconds(1));
  EXPECT_EQ(pacer.limit(), kLeast);
  network.take(5'000'000'000, seconds(1));
  EXPECT_EQ(pacer.limit(), kMost);
}

// One large write is not a rate: what is measured takes some time.
TEST(OutputPacer, ShortSamplesSayNothing) {
  OutputPacer pacer(kLeast, kMost);
  Network network(pacer);
  const std::size_t before = pacer.limit();
  network.take(5'000'000'000, milliseconds(15), milliseconds(1));
  EXPECT_EQ(pacer.limit(), before);
  network.take(5'000'000'000, milliseconds(10), milliseconds(1));
  EXPECT_EQ(pacer.limit(), kMost);
}

TEST(OutputPacer, WhereNothingWasToBeSentNothingWasSlow) {
  OutputPacer pacer(kLeast, kMost);
  Network network(pacer);
  network.take(60'000'000, milliseconds(500));
  const std::size_t before = pacer.limit();
  for (int i = 0; i < 10; ++i) {
    network.pause(seconds(10));
    network.take(100'000, milliseconds(5));
  }
  EXPECT_EQ(pacer.limit(), before);
}

TEST(OutputPacer, NeverHoldsBackTheLastByte) {
  OutputPacer pacer(0, 0);
  EXPECT_EQ(pacer.limit(), 1u);
  Network network(pacer);
  network.take(0, seconds(1));
  EXPECT_EQ(pacer.limit(), 1u);
  network.take(1'000'000, seconds(1));
  EXPECT_EQ(pacer.limit(), 1u);
  EXPECT_EQ(OutputPacer(1000, 10).limit(), 1000u);
}

}  // namespace
}  // namespace culvert::ssh
