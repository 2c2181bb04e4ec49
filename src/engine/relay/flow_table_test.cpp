// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/flow_table.hpp"

#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace culvert::relay {
namespace {

using std::chrono::seconds;
using Table = FlowTable<int, std::string>;

constexpr Instant at(int second) { return Instant(seconds(second)); }

TEST(FlowTable, FindsWhatItWasGiven) {
  Table table(10, seconds(60));
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(table.find(1), nullptr);
  auto& entry = table.insert(1, "one", at(0));
  EXPECT_EQ(table.find(1), &entry);
  EXPECT_EQ(entry.flow, "one");
  EXPECT_EQ(table.size(), 1);
  table.remove(entry);
  EXPECT_EQ(table.find(1), nullptr);
  EXPECT_TRUE(table.empty());
}

TEST(FlowTable, TheOldestIsTheOneThatHasBeenStillForLongest) {
  Table table(3, seconds(60));
  auto& first = table.insert(1, "", at(0));
  table.insert(2, "", at(1));
  table.insert(3, "", at(2));
  EXPECT_TRUE(table.full());
  EXPECT_EQ(table.oldest().key, 1);
  table.touch(first, at(3));
  EXPECT_EQ(table.oldest().key, 2);
  table.touch(table.oldest(), at(3));
  EXPECT_EQ(table.oldest().key, 3);
  table.remove(table.oldest());
  EXPECT_FALSE(table.full());
  EXPECT_EQ(table.oldest().key, 1);
}

TEST(FlowTable, ExpiresByActivity) {
  Table table(3, seconds(60));
  EXPECT_EQ(table.next_deadline(), kNever);
  EXPECT_EQ(table.expired(at(1000)), nullptr);
  auto& first = table.insert(1, "", at(0));
  table.insert(2, "", at(10));
  EXPECT_EQ(table.next_deadline(), at(60));
  EXPECT_EQ(table.expired(at(59)), nullptr);
  EXPECT_EQ(table.expired(at(60)), &first);
  table.touch(first, at(50));
  EXPECT_EQ(table.next_deadline(), at(70));
  EXPECT_EQ(table.expired(at(60)), nullptr);
  EXPECT_EQ(table.expired(at(70))->key, 2);
  table.remove(*table.expired(at(70)));
  EXPECT_EQ(table.expired(at(109)), nullptr);
  EXPECT_EQ(table.expired(at(110)), &first);
}

TEST(FlowTable, HoldsWhatCannotBeCopied) {
  FlowTable<int, std::unique_ptr<int>> table(1, seconds(1));
  auto& entry = table.insert(1, std::make_unique<int>(7), at(0));
  EXPECT_EQ(*entry.flow, 7);
}

}  // namespace
}  // namespace culvert::relay
