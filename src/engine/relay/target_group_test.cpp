// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/target_group.hpp"

#include <iterator>
#include <list>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/manual_clock.hpp"

namespace culvert::relay {
namespace {

using namespace std::chrono_literals;
using Lease = TargetGroup::Lease;

class TargetGroupTest : public ::testing::Test {
 protected:
  void make(std::size_t count, TargetGroupOptions options = {}) {
    std::vector<Endpoint> targets;
    for (std::size_t i = 0; i < count; ++i) targets.push_back(HostPort{fmt::format("10.0.0.{}", i), 80});
    group = TargetGroup::make(std::move(targets), options, [this](const TargetChange& change) {
      changes += fmt::format("{}{} {}/{} {}\n", change.is_up ? "+" : "-", change.target, change.up,
                             change.all, change.reason);
    });
  }
  std::optional<Lease> choose(std::vector<std::size_t> tried = {}, const char* client = "192.0.2.1") {
    return group->choose(IpAddress::parse(client), tried, clock.now());
  }
  std::size_t chosen(std::vector<std::size_t> tried = {}, const char* client = "192.0.2.1") {
    const auto lease = choose(std::move(tried), client);
    return lease ? lease->index() : 99;
  }
  void fail_dials(std::size_t index, int times) {
    for (int i = 0; i < times; ++i) {
      std::vector<std::size_t> others;
      for (std::size_t other = 0; other < group->size(); ++other)
        if (other != index) others.push_back(other);
      choose(others)->failed("Connection refused", clock.now());
    }
  }

  test::ManualClock clock;
  std::shared_ptr<TargetGroup> group;
  std::string changes;
};

TEST_F(TargetGroupTest, TakesTurns) {
  make(3);
  std::string order;
  for (int i = 0; i < 7; ++i) order += std::to_string(chosen());
  EXPECT_EQ(order, "0120120");
  EXPECT_EQ(chosen({1}), 2u);
  EXPECT_EQ(chosen({0, 1}), 2u);
  EXPECT_FALSE(choose({0, 1, 2}));
}

TEST_F(TargetGroupTest, CountsStreams) {
  make(3, {.balance = Balance::least_connections});
  std::list<Lease> held;
  for (int i = 0; i < 4; ++i) held.push_back(std::move(*choose()));
  EXPECT_EQ(held.back().index(), 0u);  // one each, then another one for the first
  EXPECT_EQ(group->status()[0].streams, 2u);
  EXPECT_EQ(chosen(), 1u);
  EXPECT_EQ(chosen(), 2u) << "of two alike the one whose turn it is";
  held.erase(std::next(held.begin(), 2));
  EXPECT_EQ(chosen(), 2u);
  EXPECT_EQ(chosen(), 2u);
  held.clear();
  for (const auto& status : group->status()) EXPECT_EQ(status.streams, 0u);
}

TEST_F(TargetGroupTest, AClientKeepsItsTarget) {
  make(5, {.balance = Balance::source_hash});
  std::map<std::string, std::size_t> before;
  std::vector<int> clients_of(5);
  for (int i = 0; i < 1000; ++i) {
    const auto client = fmt::format("192.0.{}.{}", i / 250, i % 250);
    before[client] = chosen({}, client.c_str());
    ++clients_of[before[client]];
    EXPECT_EQ(chosen({}, client.c_str()), before[client]);
  }
  for (const int count : clients_of) EXPECT_NEAR(count, 200, 60);

  fail_dials(2, 3);
  std::vector<int> moved_to(5);
  for (const auto& [client, target] : before) {
    const auto now = chosen({}, client.c_str());
    if (target == 2) {
      EXPECT_NE(now, 2u);
      ++moved_to[now];
    } else {
      EXPECT_EQ(now, target);
    }
  }
  for (const std::size_t other : {0u, 1u, 3u, 4u}) EXPECT_GT(moved_to[other], 20);

  // An IPv6 client is one too; one without an address takes turns.
  EXPECT_EQ(chosen({}, "2001:db8::1"), chosen({}, "2001:db8::1"));
  const auto first = group->choose(std::nullopt, {}, clock.now())->index();
  EXPECT_NE(group->choose(std::nullopt, {}, clock.now())->index(), first);
}

TEST_F(TargetGroupTest, TheHashIsTheSameWhateverTheOrder) {
  const TargetGroupOptions by_source{.balance = Balance::source_hash};
  const auto one =
      TargetGroup::make({HostPort{"a", 1}, HostPort{"b", 1}, UnixPath{"/c"}}, by_source, nullptr);
  const auto other =
      TargetGroup::make({UnixPath{"/c"}, HostPort{"b", 1}, HostPort{"a", 1}}, by_source, nullptr);
  for (std::uint32_t i = 0; i < 100; ++i) {
    const auto client = IpAddress::v4(0x0A000000 + i);
    EXPECT_EQ(one->choose(client, {}, clock.now())->target(),
              other->choose(client, {}, clock.now())->target());
  }
}

TEST_F(TargetGroupTest, FailedDialsInARowTakeATargetOut) {
  make(2);
  fail_dials(0, 2);
  choose({1})->reached();
  fail_dials(0, 2);
  EXPECT_EQ(changes, "");
  fail_dials(0, 1);
  EXPECT_EQ(changes, "-10.0.0.0:80 1/2 Connection refused\n");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(chosen(), 1u);
  EXPECT_EQ(chosen({1}), 0u) << "before nothing is left, what is down is tried";
  fail_dials(0, 5);
  EXPECT_EQ(changes, "-10.0.0.0:80 1/2 Connection refused\n") << "that is no news";
}

TEST_F(TargetGroupTest, OneDialTriesWhetherATargetIsBack) {
  make(2, {.balance = Balance::least_connections, .back_off = 10s});
  fail_dials(0, 3);
  std::vector<Lease> held;
  held.push_back(std::move(*choose()));
  clock.advance(9s);
  EXPECT_EQ(chosen(), 1u);
  clock.advance(2s);
  {
    auto trial = choose();
    EXPECT_EQ(trial->index(), 0u);
    EXPECT_EQ(chosen(), 1u) << "others wait for how that goes";
    trial->failed("timed out", clock.now());
    EXPECT_EQ(chosen(), 1u);
  }
  clock.advance(11s);
  EXPECT_EQ(chosen(), 0u) << "and whoever gives up has said nothing";
  auto trial = choose();
  EXPECT_EQ(trial->index(), 0u);
  trial->reached();
  EXPECT_EQ(changes, "-10.0.0.0:80 1/2 Connection refused\n+10.0.0.0:80 2/2 \n");
  // It lasts, and the target goes again: the next trial does not wait for its end.
  fail_dials(0, 3);
  clock.advance(11s);
  const auto one = chosen();
  const auto other = chosen();
  EXPECT_NE(one, other);
}

TEST_F(TargetGroupTest, AnOlderStreamMayFindOutWhatATrialHasNot) {
  make(2, {.failures = 1, .back_off = 10s});
  auto older = choose({1});
  fail_dials(0, 1);
  clock.advance(11s);
  const auto silent = choose({1});
  EXPECT_EQ(chosen(), 1u) << "others wait for how that goes";
  older->reached();
  fail_dials(0, 1);
  clock.advance(11s);
  EXPECT_NE(chosen(), chosen()) << "the next trial does not wait for the end of the silent one";
  EXPECT_EQ(changes,
            "-10.0.0.0:80 1/2 Connection refused\n+10.0.0.0:80 2/2 \n-10.0.0.0:80 1/2 Connection refused\n");
}

TEST_F(TargetGroupTest, ALoneTargetIsAlwaysTried) {
  make(1);
  fail_dials(0, 10);
  EXPECT_EQ(changes, "-10.0.0.0:80 0/1 Connection refused\n");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(chosen(), 0u);
  choose()->reached();
  EXPECT_TRUE(group->status()[0].is_up);
}

TEST_F(TargetGroupTest, WhereAllAreDownTheyAreTriedInOrder) {
  make(3, {.balance = Balance::source_hash});
  for (const std::size_t i : {2u, 0u, 1u}) fail_dials(i, 3);
  EXPECT_EQ(changes,
            "-10.0.0.2:80 2/3 Connection refused\n-10.0.0.0:80 1/3 Connection refused\n"
            "-10.0.0.1:80 0/3 Connection refused\n");
  EXPECT_EQ(chosen(), 0u);
  EXPECT_EQ(chosen({0}), 1u);
  EXPECT_EQ(chosen({0, 1}), 2u);
  EXPECT_FALSE(choose({0, 1, 2}));
}

TEST_F(TargetGroupTest, ChecksRiseAndFall) {
  make(2, {.checked = true, .rise = 2, .fall = 3});
  for (int i = 0; i < 2; ++i) group->check_failed(1, "no answer in time");
  group->check_passed(1);
  for (int i = 0; i < 2; ++i) group->check_failed(1, "no answer in time");
  EXPECT_EQ(changes, "");
  group->check_failed(1, "no answer in time");
  EXPECT_EQ(changes, "-10.0.0.1:80 1/2 no answer in time\n");
  clock.advance(1h);
  choose({0})->reached();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(chosen(), 0u) << "only checks bring it back";
  group->check_passed(1);
  group->check_failed(1, "again");
  group->check_passed(1);
  EXPECT_EQ(changes, "-10.0.0.1:80 1/2 no answer in time\n");
  group->check_passed(1);
  EXPECT_EQ(changes, "-10.0.0.1:80 1/2 no answer in time\n+10.0.0.1:80 2/2 \n");
  // Dials that fail take it out between checks.
  fail_dials(0, 3);
  EXPECT_FALSE(group->status()[0].is_up);
}

TEST_F(TargetGroupTest, IsSharedByThreads) {
  make(4, {.balance = Balance::least_connections});
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 5000; ++i) {
          auto lease = group->choose(std::nullopt, {}, clock.now());
          if (i % 3 == 0) lease->failed("no", clock.now());
          if (i % 3 == 1) lease->reached();
        }
      });
  }
  for (const auto& status : group->status()) EXPECT_EQ(status.streams, 0u);
}

}  // namespace
}  // namespace culvert::relay
