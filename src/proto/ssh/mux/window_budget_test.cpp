// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/mux/window_budget.hpp"

#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "proto/ssh/mux/window.hpp"

namespace culvert::ssh {
namespace {

Limits limits_of(std::uint64_t budget, std::uint32_t channels, std::uint32_t least, std::uint32_t initial) {
  Limits limits;
  limits.window_budget = budget;
  limits.channels = channels;
  limits.window_min = least;
  limits.window_initial = initial;
  return limits;
}

TEST(WindowBudget, InitialWindowsShrinkAsChannelsGrow) {
  const Limits limits;
  WindowBudget budget(limits);
  std::uint32_t before = limits.window_initial;
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < limits.channels; ++i) {
    const std::uint64_t shared = budget.grantable(limits.window_min);
    const auto window = budget.open();
    ASSERT_TRUE(window) << "channel " << i;
    EXPECT_LE(*window - limits.window_min, shared / 16);  // something is left for those that come
    if (i == 0) EXPECT_EQ(*window, limits.window_initial);
    EXPECT_LE(*window, before);
    EXPECT_GE(*window, limits.window_min);
    before = *window;
    sum += *window;
  }
  EXPECT_LT(before, limits.window_initial / 2);
  EXPECT_LE(sum, limits.window_budget);
  EXPECT_EQ(budget.used(), sum);
  EXPECT_FALSE(budget.open());
  budget.close(before);
  EXPECT_TRUE(budget.open());
}

TEST(WindowBudget, ABudgetTooSmallForAllChannelsHoldsFewer) {
  const Limits limits = limits_of(1000, 50, 100, 4000);
  WindowBudget budget(limits);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(budget.open(), 100u);
  EXPECT_FALSE(budget.open());
  EXPECT_EQ(budget.grantable(0), 100u);
  EXPECT_EQ(budget.grantable(100), 0u);
}

TEST(WindowBudget, OneChannelMayHaveAllThatIsNotSetAside) {
  const Limits limits = limits_of(100'000, 10, 1000, 4000);
  WindowBudget budget(limits);
  const std::uint32_t first = budget.open().value();
  EXPECT_EQ(budget.grantable(first), 100'000 - 9 * 1000 - first);
  budget.change(first, 91'000);
  EXPECT_EQ(budget.grantable(91'000), 0u);
  EXPECT_EQ(budget.open(), 1000u);  // what was set aside is still there
  EXPECT_EQ(budget.grantable(0), 1000u);
}

TEST(WindowBudget, HoldsWhateverChannelsDo) {
  std::mt19937_64 random(4);
  for (int run = 0; run < 60; ++run) {
    const auto channels = static_cast<std::uint32_t>(1 + random() % 40);
    const auto least = static_cast<std::uint32_t>(1 + random() % 2000);
    const std::uint64_t budget_size = std::uint64_t{channels} * least + random() % 200'000;
    const Limits limits =
        limits_of(budget_size, channels, least, static_cast<std::uint32_t>(1 + random() % 20'000));
    WindowBudget budget(limits);
    std::vector<ReceiveWindow> open;
    const auto sum = [&] {
      std::uint64_t bytes = 0;
      for (const ReceiveWindow& window : open) bytes += window.footprint();
      return bytes;
    };
    for (int i = 0; i < 500; ++i) {
      ReceiveWindow* any = open.empty() ? nullptr : &open[random() % open.size()];
      const std::uint32_t before = any == nullptr ? 0 : any->footprint();
      switch (random() % 5) {
        case 0: {
          const auto window = budget.open();
          ASSERT_EQ(window.has_value(), open.size() < channels);  // no channel takes the place of another
          if (window) open.emplace_back(*window);
          break;
        }
        case 1:
          if (any == nullptr || random() % 4 != 0) break;
          budget.close(before);
          open.erase(open.begin() + (any - open.data()));
          break;
        case 2:
          if (any != nullptr)
            ASSERT_TRUE(any->arrived(any->outstanding() - random() % (any->outstanding() + 1ul)));
          break;
        case 3:
          if (any == nullptr) break;
          any->consumed(any->held() - random() % (any->held() + 1ul));
          budget.change(before, any->footprint());
          break;
        default:
          if (any == nullptr) break;
          ASSERT_GE(before + budget.grantable(before), least);  // its least is always there
          any->granted(static_cast<std::uint32_t>(random() % (budget.grantable(before) + 1)));
          budget.change(before, any->footprint());
      }
      ASSERT_LE(sum(), budget_size);
      ASSERT_LE(budget.used(), budget_size);
      ASSERT_GE(budget.used(), sum());
    }
    for (const ReceiveWindow& window : open) budget.close(window.footprint());
    EXPECT_EQ(budget.used(), 0u);
  }
}

}  // namespace
}  // namespace culvert::ssh
