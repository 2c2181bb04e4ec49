// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/flow_limit.hpp"

#include <deque>

#include <gtest/gtest.h>

namespace culvert::relay {
namespace {

struct FlowsOfAForward final : net::DescriptorHolder {
  std::deque<StreamLimit::Place> flows;

  [[nodiscard]] std::size_t held_descriptors() const override { return flows.size(); }
  void give_up_oldest() override { flows.pop_front(); }
  // Until there is no place.
  void flood(const FlowLimit& limit) {
    while (auto place = limit.enter()) flows.push_back(*std::move(place));
  }
};

TEST(FlowLimit, WhoHasMostMakesRoom) {
  FlowsOfAForward first, second;
  FlowLimit limit(3, 1);
  limit.add(first);
  limit.add(second);
  EXPECT_FALSE(limit.make_room()) << "nobody has any";
  second.flows.push_back(*limit.enter());
  first.flood(limit);
  EXPECT_EQ(first.flows.size(), 3u);
  EXPECT_TRUE(limit.make_room());
  EXPECT_EQ(first.flows.size(), 2u);
  EXPECT_EQ(second.flows.size(), 1u);
  EXPECT_TRUE(limit.enter());
  limit.remove(first);
  EXPECT_TRUE(limit.make_room());
  EXPECT_FALSE(limit.make_room()) << "who has left has nothing to give";
}

TEST(FlowLimit, AFloodAtOneThreadLeavesTheOthersSome) {
  FlowsOfAForward flooded, other;
  const StreamLimit shared = 10;
  FlowLimit one(shared, 2), another(shared, 2);
  flooded.flood(one);
  EXPECT_EQ(flooded.flows.size(), 12u);
  other.flood(another);
  EXPECT_EQ(other.flows.size(), 2u);
  flooded.flows.clear();
  other.flood(another);
  EXPECT_EQ(other.flows.size(), 12u);
}

}  // namespace
}  // namespace culvert::relay
