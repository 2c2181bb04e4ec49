// SPDX-License-Identifier: Apache-2.0
// In a network namespace of the test's own, where it may have one (as root).
#include "engine/mapper/kernel_table.hpp"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/mapper/hindrances.hpp"
#include "net/forwarding.hpp"
#include "net/route_lookup.hpp"
#include "tests/support/network_namespace.hpp"

namespace culvert::mapper {
namespace {

using Detail = net::NftTables::Detail;
using testing::in_namespace;

nft::RuleSet one(std::uint16_t port) {
  nft::Mapping mapping{.port = port, .ports = 1, .target_port = 80};
  mapping.targets = {IpAddress::parse("10.0.0.5").value()};
  mapping.name = "tcp/*:" + std::to_string(port);
  nft::RuleSet rules;
  rules.mappings = {mapping};
  return rules;
}

KernelTable installed(std::uint16_t port, bool is_kept = false) {
  auto table = KernelTable::take(one(port), is_kept);
  EXPECT_TRUE(table) << table.error().message;
  const auto done = table->install();
  EXPECT_TRUE(done) << done.error().message;
  return std::move(*table);
}

std::string listing() {
  auto tables = net::NftTables::open();
  return tables->list("list ruleset", Detail::whole).value();
}

void run(const std::string& commands) {
  auto tables = net::NftTables::open();
  const auto done = tables->run(commands);
  EXPECT_TRUE(done) << done.error().message;
}

TEST(KernelTable, IsThereUntilItIsRemoved) {
  in_namespace([] {
    KernelTable table = installed(8080);
    EXPECT_EQ(table.name(), "culvert");
    EXPECT_TRUE(listing().contains("8080 : 10.0.0.5 . 80"));
    EXPECT_TRUE(table.remove());
    EXPECT_EQ(listing(), "");
    EXPECT_TRUE(table.remove()) << "somebody else was faster";
  });
}

TEST(KernelTable, IsPutBackAndCountsOn) {
  in_namespace([] {
    KernelTable table = installed(8080);
    const std::string whole = listing();
    EXPECT_EQ(table.repair(), false);
    for (const char* harm : {"delete table inet culvert", "flush chain inet culvert translate",
                             "delete element inet culvert tcp4 { 8080 }", "flush ruleset",
                             "add rule inet culvert prerouting drop"}) {
      run(harm);
      EXPECT_EQ(table.repair(), true) << harm;
      EXPECT_EQ(listing(), whole) << harm;
      EXPECT_EQ(table.repair(), false) << harm;
    }
    run("add table inet other");
    EXPECT_EQ(table.repair(), false);
  });
}

TEST(KernelTable, WhatCannotBeInstalledIsNotMeant) {
  in_namespace([] {
    KernelTable table = installed(8080);
    const std::string whole = listing();
    std::vector<nft::Mapping> twice = one(8080).mappings;
    twice.push_back(twice.front());
    twice.back().targets = {IpAddress::parse("10.0.0.6").value()};
    EXPECT_FALSE(table.change(twice)) << "one port, two targets";
    ASSERT_EQ(table.mappings().size(), 1u);
    EXPECT_EQ(table.mappings().front().targets, one(8080).mappings.front().targets);
    EXPECT_EQ(table.repair(), false);
    EXPECT_EQ(listing(), whole);
    EXPECT_TRUE(table.change({twice.back()}));
    EXPECT_TRUE(listing().contains("8080 : 10.0.0.6 . 80"));
    EXPECT_EQ(table.repair(), false);
  });
}

TEST(KernelTable, HasANameForEachThatRuns) {
  in_namespace([] {
    const KernelTable first = installed(8080);
    KernelTable second = installed(8081);
    EXPECT_EQ(second.name(), "culvert-2");
    const auto same = KernelTable::take(one(8080), false);
    ASSERT_FALSE(same);
    EXPECT_EQ(same.error().message,
              "cannot map tcp/*:8080: another culvert does already (table inet culvert)");
    EXPECT_TRUE(second.remove());
    EXPECT_TRUE(listing().contains("table inet culvert {"));
    EXPECT_FALSE(listing().contains("culvert-2"));
  });
}

TEST(KernelTable, IsRefusedWhereAnotherTakesSomeOfTheSame) {
  in_namespace([] {
    nft::RuleSet bound = one(8080);
    bound.mappings[0].at = IpAddress::parse("192.0.2.1").value();
    {
      const KernelTable all = installed(8080);
      EXPECT_EQ(KernelTable::take(bound, false).error().code, Errc::usage);
    }
    auto first = KernelTable::take(bound, false);
    ASSERT_TRUE(first && first->install());
    EXPECT_EQ(KernelTable::take(one(8080), false).error().code, Errc::usage);
    bound.mappings[0].at = IpAddress::parse("192.0.2.2").value();
    EXPECT_TRUE(KernelTable::take(bound, false));
  });
}

/// Four processes, since libnftables is for one thread of a process at a time.
TEST(KernelTable, OfSeveralAtOnceOneGetsAPort) {
  in_namespace([] {
    for (int round = 0; round < 5; ++round) {
      std::array<int, 2> begin{}, told{}, end{};
      ASSERT_TRUE(::pipe(begin.data()) == 0 && ::pipe(told.data()) == 0 && ::pipe(end.data()) == 0);
      const auto until_closed = [](const std::array<int, 2>& pipe) {
        char byte = 0;
        ::close(pipe[1]);
        (void)!::read(pipe[0], &byte, 1);
      };
      std::vector<pid_t> children;
      for (int i = 0; i < 4; ++i) {
        children.push_back(::fork());
        if (children.back() != 0) continue;
        until_closed(begin);
        auto table = KernelTable::take(one(8080), false);
        const char got = table && table->install() ? 1 : 0;
        (void)!::write(told[1], &got, 1);
        until_closed(end);
        ::_exit(0);
      }
      ::close(begin[1]);
      int all = 0;
      for (std::size_t i = 0; i < children.size(); ++i) {
        char got = 0;
        EXPECT_EQ(::read(told[0], &got, 1), 1);
        all += got;
      }
      EXPECT_EQ(all, 1);
      ::close(end[1]);
      for (const pid_t child : children) ::waitpid(child, nullptr, 0);
      for (const int fd : {begin[0], told[0], told[1], end[0]}) ::close(fd);
    }
  });
}

TEST(KernelTable, TakesThePlaceOfWhatWasLeftBehind) {
  in_namespace([] {
    {
      const KernelTable killed = installed(8080), another = installed(8081);
    }
    auto table = KernelTable::take(one(8082), false);
    ASSERT_TRUE(table);
    EXPECT_EQ(table->left_behind(), (std::vector<std::string>{"culvert", "culvert-2"}));
    EXPECT_TRUE(listing().contains("8081"));
    EXPECT_TRUE(table->install());
    EXPECT_FALSE(listing().contains("8081"));
    EXPECT_TRUE(listing().contains("8082 : 10.0.0.5 . 80"));
    EXPECT_EQ(table->name(), "culvert");
  });
}

TEST(KernelTable, KeepsWhatIsToBeKeptUnlessItIsTheSame) {
  in_namespace([] {
    {
      const KernelTable kept = installed(8080, true);
    }
    {
      const KernelTable other = installed(8081);
      EXPECT_EQ(other.name(), "culvert-2");
      EXPECT_TRUE(listing().contains("8080 : "));
    }
    const KernelTable again = installed(8080, true);
    EXPECT_EQ(again.name(), "culvert");
    EXPECT_FALSE(listing().contains("culvert-2"));
  });
}

TEST(KernelTable, IsCleanedUpOnceNobodyKeepsIt) {
  in_namespace([] {
    run("table inet culvert-9 { }\ntable ip culvert { }");  // of others: without our label, of another family
    {
      const KernelTable killed = installed(8080), kept = installed(8081, true);
    }
    const KernelTable live = installed(8082);
    EXPECT_EQ(remove_left_behind(), (std::vector<std::string>{"culvert-2"}));
    EXPECT_TRUE(listing().contains("8082 : "));
    EXPECT_FALSE(listing().contains("8081 : "));
    EXPECT_TRUE(listing().contains("table inet culvert-9 {"));
    EXPECT_EQ(remove_left_behind(), (std::vector<std::string>{}));
  });
}

TEST(KernelTable, TakesOtherMappingsInPlace) {
  in_namespace([] {
    KernelTable table = installed(8080);
    nft::RuleSet moved = one(8080);
    moved.mappings[0].targets = {IpAddress::parse("10.0.0.6").value()};
    EXPECT_TRUE(table.change(moved.mappings));
    EXPECT_TRUE(listing().contains("8080 : 10.0.0.6 . 80"));
    EXPECT_FALSE(listing().contains("10.0.0.5 . 80"));
    EXPECT_EQ(table.repair(), false);
    EXPECT_EQ(table.traffic()->size(), 1U);
  });
}

TEST(KernelTable, CountsEachAddressOfANameByItself) {
  in_namespace([] {
    nft::RuleSet rules = one(8080);
    rules.mappings[0].at = IpAddress::parse("192.0.2.1").value();
    rules.mappings[0].traffic = {.connections = 7};
    rules.mappings.push_back(rules.mappings[0]);
    rules.mappings[1].at = IpAddress::parse("192.0.2.2").value();
    rules.mappings[1].traffic = {.connections = 1};
    auto table = KernelTable::take(rules, false);
    ASSERT_TRUE(table && table->install());
    EXPECT_TRUE(table->change({rules.mappings[1], rules.mappings[0]}));
    EXPECT_EQ(table->traffic()->at(0).connections, 1U);
    EXPECT_EQ(table->traffic()->at(1).connections, 7U);
  });
}

TEST(KernelTable, CountsOnWhenItIsPutBack) {
  in_namespace([] {
    nft::RuleSet rules = one(8080);
    rules.mappings[0].traffic = {.connections = 7, .packets_to = 20, .bytes_to = 3000};
    auto table = KernelTable::take(rules, false);
    ASSERT_TRUE(table && table->install());
    EXPECT_EQ(table->traffic()->at(0), rules.mappings[0].traffic);
    run("delete table inet culvert");
    EXPECT_EQ(table->repair(), true);
    EXPECT_EQ(table->traffic()->at(0), rules.mappings[0].traffic);
  });
}

constexpr net::Forwarding kV4{.is_v4 = true}, kV6{.is_v4 = false};

KernelTable forwarding(std::uint16_t port, Families families = {.v4 = true}) {
  auto table = KernelTable::take(one(port), false);
  EXPECT_TRUE(table && table->enable_forwarding(families));
  EXPECT_TRUE(table->install());
  return std::move(*table);
}

TEST(Forwarding, IsSetBackByTheLastOne) {
  in_namespace([] {
    ASSERT_TRUE(kV4.set(false));
    // Whoever has switched it on, and whoever goes first.
    for (const bool first_enables : {true, false}) {
      for (const bool first_goes_first : {true, false}) {
        KernelTable first = first_enables ? forwarding(8080) : installed(8080);
        EXPECT_EQ(kV4.is_on(), first_enables);
        KernelTable second = forwarding(8081, {.v4 = !first_enables});
        EXPECT_EQ(kV4.is_on(), true);
        EXPECT_TRUE((first_goes_first ? first : second).remove());
        EXPECT_EQ(kV4.is_on(), true) << "the other one may need it";
        EXPECT_TRUE((first_goes_first ? second : first).remove());
        EXPECT_EQ(kV4.is_on(), false);
        EXPECT_EQ(listing(), "");
      }
    }
  });
}

TEST(Forwarding, IsSetBackAfterAnybodyWasKilled) {
  in_namespace([] {
    ASSERT_TRUE(kV4.set(false));
    {
      const KernelTable killed = forwarding(8080);
    }
    EXPECT_EQ(kV4.is_on(), true);
    {
      KernelTable next = installed(8080);
      EXPECT_EQ(kV4.is_on(), true);
      EXPECT_TRUE(next.remove());
      EXPECT_EQ(kV4.is_on(), false);
    }
    {
      const KernelTable killed = forwarding(8080);
      KernelTable live = installed(8081);
    }
    EXPECT_EQ(remove_left_behind()->size(), 2U);
    EXPECT_EQ(kV4.is_on(), false);
    EXPECT_EQ(listing(), "");
  });
}

TEST(Forwarding, StaysAsLongAsSomebodyRuns) {
  in_namespace([] {
    ASSERT_TRUE(kV4.set(false));
    {
      const KernelTable killed = forwarding(8080);
    }
    KernelTable live = forwarding(8081, {});
    {
      const KernelTable killed = installed(8082);
    }
    EXPECT_EQ(remove_left_behind(), (std::vector<std::string>{"culvert-2"}));
    EXPECT_EQ(kV4.is_on(), true);

    ASSERT_TRUE(kV4.set(false));
    EXPECT_TRUE(live.enable_forwarding({.v4 = true}));
    EXPECT_EQ(kV4.is_on(), true);

    run("flush ruleset");
    EXPECT_EQ(live.repair(), true);
    EXPECT_TRUE(live.remove());
    EXPECT_EQ(kV4.is_on(), false);
  });
}

TEST(Forwarding, OfEachInterfaceIsSetBack) {
  in_namespace([] {
    for (const net::Forwarding& family : {kV4, kV6}) {
      ASSERT_TRUE(family.set(false));
      EXPECT_EQ(family.interfaces_on(), (std::vector<std::string>{}));
      for (const char* name : {"lo", "default"}) ASSERT_TRUE(family.set(true, name));
      const auto before = family.interfaces_on();
      EXPECT_EQ(before.size(), 2U);
      EXPECT_EQ(family.is_on(), false);
      {
        const KernelTable killed = forwarding(8080, {.v4 = family.is_v4, .v6 = !family.is_v4});
      }
      EXPECT_EQ(family.is_on(), true);
      EXPECT_EQ(family.is_on("lo"), true);
      EXPECT_TRUE(remove_left_behind());
      EXPECT_EQ(family.is_on(), false);
      EXPECT_EQ(family.interfaces_on(), before);
      EXPECT_EQ(family.is_on("lo"), family.is_v4) << "of IPv6 the setting of all counts";
    }
  });
}

TEST(KernelTable, SaysWhatNftSays) {
  in_namespace([] {
    auto tables = net::NftTables::open();
    const auto done = tables->run("add rule inet none none drop");
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message, "Could not process rule: No such file or directory");
    EXPECT_EQ(tables->list("list table inet none", Detail::whole).error().code, Errc::not_found);
  });
}

double processor_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

TEST(KernelTable, DoesNotReadTheSetsOfOthers) {
  in_namespace([] {
    std::string set = "table inet other {\n set s {\n type ipv4_addr\n elements = {\n";
    for (int i = 0; i < 40'000; ++i) set += fmt::format("20.{}.{}.1,\n", i / 250, i % 250);
    run(set + "}\n}\n}\n");
    const double begun = processor_ms();
    KernelTable table = installed(8080);
    run("delete table inet culvert");
    EXPECT_EQ(table.repair(), true);
    EXPECT_TRUE(table.traffic());
    EXPECT_EQ(table.others()->size(), 1U);
    EXPECT_TRUE(table.remove());
    const double spent = processor_ms() - begun;
    EXPECT_GT(listing().size(), 40'000U);
    const double of_one_reading = processor_ms() - begun - spent;
    EXPECT_LT(spent, of_one_reading / 2);  // an eighth of it
  });
}

TEST(Hindrances, AreNamedWithTheirRemedy) {
  in_namespace([] {
    EXPECT_EQ(hindrances(one(8080), {}),
              (std::vector<std::string>{"there is no way to 10.0.0.5: Network is unreachable"}));
  });
}

TEST(Hindrances, ForwardingIsSetInOnesOwnNamespaceAlone) {
  in_namespace([] {
    const net::Forwarding v4{.is_v4 = true};
    ASSERT_TRUE(v4.set(true));
    EXPECT_EQ(v4.is_on(), true);
    ASSERT_TRUE(v4.set(false));
    EXPECT_EQ(v4.is_on(), false);
    EXPECT_TRUE(unforwarded(one(8080).mappings).v4);
    EXPECT_FALSE(unforwarded(one(8080).mappings).v6);
  });
}

TEST(RouteLookup, KnowsWhatIsLocal) {
  const auto route = net::route_to(IpAddress::parse("127.0.0.1").value());
  ASSERT_TRUE(route) << route.error().message;
  EXPECT_TRUE(route->is_local);
  EXPECT_EQ(route->interface, "lo");
}

}  // namespace
}  // namespace culvert::mapper
