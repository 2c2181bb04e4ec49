// SPDX-License-Identifier: Apache-2.0
#include "net/resolver.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/run.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using testing::run;
using testing::Running;
using testing::start;

using Answer = Result<std::vector<tcp::endpoint>>;

/// Look-ups that the test decides about: names that begin with "silent" wait until they are let go.
struct Names : std::enable_shared_from_this<Names> {
  std::mutex mutex;
  std::condition_variable changed;
  bool let_go = false;
  int asked = 0;
  int inside = 0;

  Resolver::LookUp look_up() {
    return [self = shared_from_this()](const std::string& host,
                                       Family) -> Result<std::vector<asio::ip::address>> {
      std::unique_lock lock(self->mutex);
      ++self->asked;
      ++self->inside;
      self->changed.notify_all();
      if (host.starts_with("silent")) self->changed.wait(lock, [&] { return self->let_go; });
      --self->inside;
      self->changed.notify_all();
      if (host == "none") return std::vector<asio::ip::address>{};
      if (host == "unknown") return fail(Errc::not_found, "Name or service not known");
      return std::vector<asio::ip::address>{asio::ip::make_address("127.0.0.9")};
    };
  }
  void wait_inside(int count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return inside >= count; });
  }
  void release() {
    std::unique_lock lock(mutex);
    let_go = true;
    changed.notify_all();
    changed.wait(lock, [&] { return inside == 0; });
  }
};

TEST(Resolver, AnswersLiteralsWithoutAThread) {
  asio::io_context context;
  Resolver resolver(1, 1, [](const std::string&, Family) -> Result<std::vector<asio::ip::address>> {
    ADD_FAILURE() << "looked up";
    return fail(Errc::not_found, "");
  });
  const auto four = run(context, resolver.resolve("127.0.0.1", 80));
  ASSERT_TRUE(four);
  EXPECT_EQ(four->at(0), tcp::endpoint(asio::ip::make_address("127.0.0.1"), 80));
  const auto six = run(context, resolver.resolve("::1", 80));
  ASSERT_TRUE(six);
  EXPECT_EQ(six->at(0), tcp::endpoint(asio::ip::make_address("::1"), 80));
  const auto zone = run(context, resolver.resolve("fe80::1%lo", 80));
  ASSERT_TRUE(zone);
  EXPECT_NE(zone->at(0).address().to_v6().scope_id(), 0U);
  const auto no_zone = run(context, resolver.resolve("fe80::1%nosuch", 80));
  ASSERT_FALSE(no_zone);
  EXPECT_EQ(no_zone.error().message, "No such network interface");
  const auto index = run(context, resolver.resolve("fe80::1%1", 80));
  ASSERT_TRUE(index);
  EXPECT_EQ(index->at(0).address().to_v6().scope_id(), 1U);
  for (const std::string host :
       {"fe80::1%1.example.org", "::ffff:10.0.0.1%1.example.org", "::1%1x", "::1%"}) {
    const auto like_a_name = run(context, resolver.resolve(host, 80));
    ASSERT_FALSE(like_a_name) << host;
    EXPECT_EQ(like_a_name.error().message, "No such network interface");
  }
  const auto wrong_family = run(context, resolver.resolve("::1", 80, Family::ipv4));
  ASSERT_FALSE(wrong_family);
  EXPECT_EQ(wrong_family.error().code, Errc::not_found);
}

TEST(Resolver, AsksTheSystem) {
  asio::io_context context;
  Resolver resolver;
  const auto local = run(context, resolver.resolve("localhost", 5432, Family::ipv4));
  ASSERT_TRUE(local) << local.error().message;
  EXPECT_EQ(local->at(0), tcp::endpoint(asio::ip::make_address("127.0.0.1"), 5432));
  for (const auto& bad : {std::string(), std::string("a\0b", 3), std::string(256, 'a'),
                          std::string("loc\\097lhost"), std::string("\\localhost")}) {
    const auto refused = run(context, resolver.resolve(bad, 1));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::not_found);
    EXPECT_EQ(refused.error().message, "Name or service not known");
  }
}

TEST(Resolver, DoesNotAskForWhatIsNoName) {
  asio::io_context context;
  const auto names = std::make_shared<Names>();
  Resolver resolver(1, 1, names->look_up());
  for (const char* const host : {"b\\097d.test", "\\bad.test", "bad\\.test", "bad.test\\"})
    EXPECT_FALSE(run(context, resolver.resolve(host, 1))) << host;
  EXPECT_EQ(names->asked, 0);
}

TEST(Resolver, PassesOnFailures) {
  asio::io_context context;
  const auto names = std::make_shared<Names>();
  Resolver resolver(2, 8, names->look_up());
  const auto unknown = run(context, resolver.resolve("unknown", 1));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message, "Name or service not known");
  const auto none = run(context, resolver.resolve("none", 1));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::not_found);
  EXPECT_TRUE(run(context, resolver.resolve("good", 1)));
}

TEST(Resolver, ManyQuestionsForASilentNameTakeOneThread) {
  asio::io_context context;
  const auto names = std::make_shared<Names>();
  Resolver resolver(2, 200, names->look_up());
  std::vector<Running<Answer>> silent;
  for (int i = 0; i < 100; ++i) silent.push_back(start(context, resolver.resolve("silent", 1)));
  context.poll();
  for (int i = 0; i < 20; ++i) {
    const auto other = run(context, resolver.resolve("name" + std::to_string(i), 2));
    ASSERT_TRUE(other);
    EXPECT_EQ(other->at(0).port(), 2);
  }
  names->release();
  for (auto& one : silent) EXPECT_TRUE(one.wait());
  EXPECT_EQ(names->asked, 21);
}

TEST(Resolver, BoundsWhatWaits) {
  asio::io_context context;
  const auto names = std::make_shared<Names>();
  Resolver resolver(1, 2, names->look_up());
  std::vector<Running<Answer>> waiting;
  for (int i = 0; i < 3; ++i)
    waiting.push_back(start(context, resolver.resolve("silent" + std::to_string(i), 1)));
  context.poll();
  const auto refused = run(context, resolver.resolve("another", 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::limit);

  waiting[2].cancel();  // it had not begun, and makes room
  EXPECT_EQ(waiting[2].wait().error().code, Errc::cancelled);
  auto fits = start(context, resolver.resolve("another", 1));
  context.restart();
  context.poll();
  names->release();
  EXPECT_TRUE(waiting[0].wait());
  EXPECT_TRUE(waiting[1].wait());
  EXPECT_TRUE(fits.wait());
}

std::string numbered(const char* name, std::size_t i) { return name + std::to_string(i); }

TEST(Resolver, OneWhoAsksForSilentNamesHoldsUpNobodyElse) {
  asio::io_context context;
  const auto names = std::make_shared<Names>();
  Resolver resolver(Resolver::kRunningOfOne + 1, 200, names->look_up());
  std::vector<Running<Answer>> silent;
  for (std::size_t i = 0; i < 3 * Resolver::kRunningOfOne; ++i)
    silent.push_back(start(context, resolver.resolve(numbered("silent", i), 1, Family::any, "one")));
  context.poll();
  names->wait_inside(Resolver::kRunningOfOne);
  EXPECT_TRUE(run(context, resolver.resolve("good", 1, Family::any, "another")));
  EXPECT_TRUE(run(context, resolver.resolve("ours", 1)));
  // They leave, and what runs for them still counts.
  for (auto& one : silent) one.cancel();
  for (auto& one : silent) EXPECT_FALSE(one.wait());
  auto again = start(context, resolver.resolve("behind", 1, Family::any, "one"));
  context.restart();
  context.poll();
  EXPECT_TRUE(run(context, resolver.resolve("good2", 1, Family::any, "another")));
  EXPECT_EQ(names->asked, Resolver::kRunningOfOne + 3);
  names->release();
  EXPECT_TRUE(again.wait());
}

TEST(Resolver, RequestersTakeTurns) {
  asio::io_context context;
  const auto names = std::make_shared<Names>();
  std::vector<std::string> order;
  std::mutex mutex;
  Resolver resolver(1, 200, [&, look_up = names->look_up()](const std::string& host, Family family) {
    {
      const std::lock_guard lock(mutex);
      order.push_back(host);
    }
    return look_up(host, family);
  });
  std::vector<Running<Answer>> asking;
  const auto ask = [&](const std::string& host, const char* requester) {
    asking.push_back(start(context, resolver.resolve(host, 1, Family::any, requester)));
    context.restart();
    context.poll();
  };
  ask("silent", "");
  names->wait_inside(1);
  for (std::size_t i = 0; i < 4; ++i) ask(numbered("a", i), "a");
  ask("b0", "b");
  ask("ours", "");
  ask("a3", "c");  // what another one waits for already, at the end of a long queue
  names->release();
  for (auto& one : asking) EXPECT_TRUE(one.wait());
  EXPECT_EQ(order, (std::vector<std::string>{"silent", "a0", "b0", "ours", "a3", "a1", "a2"}));
}

TEST(Resolver, BoundsWhatOneRequesterAsksFor) {
  asio::io_context context;
  const auto names = std::make_shared<Names>();
  Resolver resolver(Resolver::kRunningOfOne + 1, 4096, names->look_up());
  std::vector<Running<Answer>> waiting;
  const auto ask = [&](const std::string& host, const char* requester) {
    waiting.push_back(start(context, resolver.resolve(host, 1, Family::any, requester)));
  };
  for (std::size_t i = 0; i < Resolver::kRunningOfOne; ++i) ask(numbered("silent", i), "one");
  context.poll();
  names->wait_inside(Resolver::kRunningOfOne);
  for (std::size_t i = 0; i < Resolver::kNamesOfOne; ++i) ask(numbered("waits", i), "one");
  context.restart();
  context.poll();
  const auto refused = run(context, resolver.resolve("another", 1, Family::any, "one"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::limit);
  EXPECT_EQ(refused.error().message, "too many names are being looked up");
  EXPECT_TRUE(run(context, resolver.resolve("another", 1, Family::any, "two")));

  waiting.back().cancel();
  EXPECT_FALSE(waiting.back().wait());
  waiting.pop_back();
  ask("another name", "one");  // there is room again
  for (std::size_t i = 0; i < Resolver::kQuestionsOfOne; ++i) ask("silent0", "two");
  context.restart();
  context.poll();
  EXPECT_FALSE(run(context, resolver.resolve("silent0", 1, Family::any, "two")));
  EXPECT_TRUE(run(context, resolver.resolve("third", 1, Family::any, "three")));
  names->release();
  for (auto& one : waiting) EXPECT_TRUE(one.wait());
}

TEST(Resolver, ObeysCancellationWhileItLooksUp) {
  asio::io_context context;
  const auto names = std::make_shared<Names>();
  Resolver resolver(1, 8, names->look_up());
  auto asking = start(context, resolver.resolve("silent", 1));
  context.poll();
  names->wait_inside(1);
  asking.cancel();
  const auto result = asking.wait();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::cancelled);
  names->release();
  EXPECT_TRUE(run(context, resolver.resolve("good", 1)));
}

TEST(Resolver, EndsWhileANameIsSilent) {
  const auto names = std::make_shared<Names>();
  asio::io_context context;
  {
    std::optional<Resolver> resolver(std::in_place, 2, 8, names->look_up());
    ASSERT_TRUE(run(context, resolver->resolve("good", 1)));  // one idle thread
    auto asking = start(context, resolver->resolve("silent", 1));
    auto queued = start(context, resolver->resolve("silent2", 1));
    auto behind = start(context, resolver->resolve("behind", 1));
    context.restart();
    context.poll();
    names->wait_inside(2);
    resolver.reset();
    EXPECT_EQ(asking.wait().error().code, Errc::cancelled);
    EXPECT_EQ(queued.wait().error().code, Errc::cancelled);
    EXPECT_EQ(behind.wait().error().code, Errc::cancelled);
  }
  names->release();
  // Its threads still end by themselves; give a sanitizer the moment to see them touch what they should not.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

TEST(Resolver, ItsContextMayEndFirst) {
  const auto names = std::make_shared<Names>();
  Resolver resolver(1, 8, names->look_up());
  {
    asio::io_context context;
    auto asking = start(context, resolver.resolve("silent", 1));
    auto queued = start(context, resolver.resolve("good", 1));
    context.poll();
    names->wait_inside(1);
  }
  names->release();
  asio::io_context other;
  EXPECT_TRUE(run(other, resolver.resolve("good", 1)));
}

// An answer is as likely to come before its context ends as behind that, or amid it.
TEST(Resolver, ItsContextMayEndWhileItAnswers) {
  Resolver resolver(2, 8, [](const std::string&, Family) -> Result<std::vector<asio::ip::address>> {
    return fail(Errc::not_found, "");
  });
  for (int i = 0; i < 500; ++i) {
    asio::io_context context;
    auto asking = start(context, resolver.resolve("a", 1));
    auto left = start(context, resolver.resolve("b", 1));
    context.poll();
    left.cancel();
    if (i % 2 == 0) context.poll_one();
    std::this_thread::sleep_for(std::chrono::microseconds(i % 20));
  }
}

TEST(Resolver, WakesAThreadThatSleepsInRun) {
  const auto names = std::make_shared<Names>();
  Resolver resolver(1, 8, names->look_up());
  asio::io_context context;
  asio::steady_timer limit(context, testing::kDeadline);
  bool is_late = false;
  limit.async_wait([&](const boost::system::error_code& error) { is_late = !error; });
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        (void)co_await resolver.resolve("silent", 1);
        limit.cancel();
      },
      asio::detached);
  std::thread other([&] {
    names->wait_inside(1);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // it sleeps by now, or the test says nothing
    names->release();
  });
  net::run(context);
  other.join();
  EXPECT_FALSE(is_late);
}

TEST(Resolver, KnowsAnAnswerForAMomentAndThenAsksAgain) {
  using namespace std::chrono_literals;
  asio::io_context context;
  const auto names = std::make_shared<Names>();
  Resolver lasting(1, 8, names->look_up(), 1h);
  for (std::uint16_t port = 1; port <= 3; ++port) {
    const auto answer = run(context, lasting.resolve("good", port));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->at(0), tcp::endpoint(asio::ip::make_address("127.0.0.9"), port));
  }
  EXPECT_EQ(names->asked, 1);
  (void)run(context, lasting.resolve("good", 1, Family::ipv4));  // another question
  EXPECT_EQ(names->asked, 2);

  Resolver passing(1, 8, names->look_up(), 1us);
  for (int i = 0; i < 3; ++i) {
    (void)run(context, passing.resolve("good", 1));
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(names->asked, 5);
}

TEST(Resolver, FailuresAreNotKept) {
  asio::io_context context;
  const auto names = std::make_shared<Names>();
  Resolver resolver(1, 8, names->look_up(), std::chrono::hours(1));
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(run(context, resolver.resolve("unknown", 1)));
    EXPECT_FALSE(run(context, resolver.resolve("none", 1)));
  }
  EXPECT_EQ(names->asked, 6);
}

TEST(Resolver, WhatNobodyWaitedForIsKnown) {
  asio::io_context context;
  const auto names = std::make_shared<Names>();
  Resolver resolver(1, 8, names->look_up(), std::chrono::hours(1));
  auto asking = start(context, resolver.resolve("silent", 1));
  context.poll();
  names->wait_inside(1);
  asking.cancel();
  EXPECT_FALSE(asking.wait());
  names->release();
  EXPECT_TRUE(run(context, resolver.resolve("good", 1)));  // the one thread is done with the silent name
  EXPECT_TRUE(run(context, resolver.resolve("silent", 1)));
  EXPECT_EQ(names->asked, 2);
}

TEST(Resolver, ServesManyThreads) {
  const auto names = std::make_shared<Names>();
  Resolver resolver(3, 64, names->look_up(), std::chrono::microseconds(100));
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      asio::io_context context;
      for (int i = 0; i < 50; ++i) {
        auto kept = start(context, resolver.resolve("name" + std::to_string(i % 7), 1));
        auto dropped = start(context, resolver.resolve("other" + std::to_string(t), 1));
        context.restart();
        context.poll_one();
        dropped.cancel();
        (void)dropped.wait();
        if (kept.wait()) ++answered;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(answered, 200);
}

}  // namespace
}  // namespace culvert::net
