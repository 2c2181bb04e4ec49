// SPDX-License-Identifier: Apache-2.0
#include "load/packet_ring.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

namespace culvert::load {
namespace {

constexpr std::size_t kLargest = 1500;

struct Sent {
  std::size_t size;
  std::uint8_t fill;
};

/// Random packets in and out, against a queue that cannot be wrong; the ring is small, so that it wraps all
/// the time.
TEST(PacketRing, KeepsPacketsWholeAndInOrder) {
  std::mt19937 random(7);
  PacketRing ring(8192, kLargest);
  std::deque<Sent> expected;
  std::uint8_t fill = 0;
  std::size_t times_full = 0;
  std::size_t taken = 0;
  for (int step = 0; step < 200'000; ++step) {
    const bool pushing = random() % 100 < (step / 1000 % 2 == 0 ? 60u : 40u);
    if (pushing && ring.full()) {
      ++times_full;
    } else if (pushing) {
      const std::size_t size = random() % kLargest + 1;
      const auto room = ring.room();
      ASSERT_EQ(room.size(), kLargest);
      std::fill_n(room.begin(), size, ++fill);
      ring.push(size, Clock::time_point(Clock::duration(step)));
      expected.push_back({size, fill});
    } else if (!expected.empty()) {
      const auto packet = ring.packet();
      ASSERT_EQ(packet.size(), expected.front().size);
      ASSERT_TRUE(std::all_of(packet.begin(), packet.end(),
                              [&](std::uint8_t byte) { return byte == expected.front().fill; }));
      ring.pop();
      expected.pop_front();
      ++taken;
    }
    ASSERT_EQ(ring.empty(), expected.empty());
  }
  EXPECT_GT(times_full, 100u);
  EXPECT_GT(taken, 50'000u);
}

TEST(PacketRing, IsFullWhenTheLargestPacketMightNotFit) {
  PacketRing ring(4 * (kLargest + 64), kLargest);
  std::size_t packets = 0;
  while (!ring.full() && packets < 100) {
    ring.push(kLargest, Clock::time_point());
    ++packets;
  }
  EXPECT_GE(packets, 3u);
  EXPECT_LE(packets, 4u);
  ring.pop();
  ring.pop();
  EXPECT_FALSE(ring.full());
}

}  // namespace
}  // namespace culvert::load
