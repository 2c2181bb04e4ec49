// SPDX-License-Identifier: Apache-2.0
#include "net/timer.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <gtest/gtest.h>

#include "net/as_tuple.hpp"
#include "net/run.hpp"

namespace culvert::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::milliseconds;

// The context runs by itself, or as in the program.
class TimerTest : public ::testing::TestWithParam<bool> {
 protected:
  void run() {
    if (GetParam()) {
      net::run(io_);
    } else {
      io_.run();
    }
    io_.restart();
  }
  [[nodiscard]] asio::any_io_executor executor() { return io_.get_executor(); }
  void wait(Timer& timer, const std::string& name) {
    timer.async_wait([this, name](const error_code& error) {
      seen_ += error == asio::error::operation_aborted ? name + "! " : name + " ";
    });
  }

  asio::io_context io_{1};
  std::string seen_;
};

TEST_P(TimerTest, RingInTheirOrder) {
  Timer late(executor(), milliseconds(20));
  Timer early(executor(), milliseconds(5));
  Timer over(executor(), Instant{});
  const Instant start = monotonic_now();
  wait(late, "late");
  wait(early, "early");
  wait(over, "over");
  EXPECT_EQ(seen_, "") << "not from inside";
  run();
  EXPECT_EQ(seen_, "over early late ");
  EXPECT_GE(monotonic_now() - start, milliseconds(20));
}

TEST_P(TimerTest, OneThatComesFirstIsSetWhileAnotherIsWaitedFor) {
  Timer late(executor(), std::chrono::hours(1));
  Timer early(executor());
  wait(late, "late");
  Timer first(executor(), milliseconds(2));
  first.async_wait([&](const error_code&) {
    early.expires_after(milliseconds(2));
    early.async_wait([&](const error_code&) {
      seen_ += "early ";
      late.cancel();
    });
  });
  run();
  EXPECT_EQ(seen_, "early late! ");
}

TEST_P(TimerTest, OneThatIsSetByWhatWasPostedIsWaitedFor) {
  Timer timer(executor(), milliseconds(2));
  asio::post(io_, [&] { wait(timer, "a"); });
  run();
  EXPECT_EQ(seen_, "a ");
}

TEST_P(TimerTest, TellsAllWhoWaitThatItWasCancelledOrSetAnew) {
  Timer timer(executor());
  wait(timer, "a");
  wait(timer, "b");
  EXPECT_EQ(timer.cancel(), 2U);
  EXPECT_EQ(timer.cancel(), 0U);
  EXPECT_EQ(seen_, "") << "not from inside";
  run();
  EXPECT_EQ(seen_, "a! b! ");
  wait(timer, "c");
  EXPECT_EQ(timer.expires_after(milliseconds(1)), 1U);
  wait(timer, "d");
  run();
  EXPECT_EQ(seen_, "a! b! c! d ");
}

TEST_P(TimerTest, ItsEndIsToldToo) {
  std::optional<Timer> timer(std::in_place, executor());
  wait(*timer, "a");
  timer.reset();
  run();
  EXPECT_EQ(seen_, "a! ");
}

TEST_P(TimerTest, RunsOnWithASleeperThatWaitsAgainAndAgain) {
  Timer timer(executor());
  int rings = 0;
  const std::function<void()> next = [&] {
    timer.expires_after(std::chrono::microseconds(100));
    timer.async_wait([&](const error_code& error) {
      if (!error && ++rings < 50) next();
    });
  };
  next();
  run();
  EXPECT_EQ(rings, 50);
}

TEST_P(TimerTest, ACancellationEndsOneWait) {
  Timer timer(executor());
  asio::cancellation_signal cancel;
  const auto sleep = [&](std::string name) -> asio::awaitable<void> {
    const auto [error] = co_await timer.async_wait(kTuple);
    seen_ += name + (error ? "! " : " ");
  };
  asio::co_spawn(io_, sleep("one"), asio::bind_cancellation_slot(cancel.slot(), asio::detached));
  asio::co_spawn(io_, sleep("other"), asio::detached);
  asio::post(io_, [&] {
    cancel.emit(asio::cancellation_type::terminal);
    asio::post(io_, [&] {
      EXPECT_EQ(seen_, "one! ");
      EXPECT_EQ(timer.cancel(), 1U);
    });
  });
  run();
  EXPECT_EQ(seen_, "one! other! ");
}

// Between the end of the wait, by the timer's or by a cancellation, and the handler that is told.
TEST_P(TimerTest, ACancellationMayComeWhenItHasGone) {
  for (const bool has_come_before : {false, true}) {
    seen_.clear();
    auto timer = std::make_unique<Timer>(executor());
    asio::cancellation_signal cancel;
    timer->async_wait(asio::bind_cancellation_slot(
        cancel.slot(), [&](const error_code& error) { seen_ += error ? "! " : " "; }));
    if (has_come_before) cancel.emit(asio::cancellation_type::terminal);
    timer.reset();
    cancel.emit(asio::cancellation_type::terminal);
    run();
    EXPECT_EQ(seen_, "! ");
  }
}

INSTANTIATE_TEST_SUITE_P(BothWays, TimerTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "AsInTheProgram" : "ByTheContext"; });

TEST(Timer, WhoWaitsGoesWithTheContext) {
  auto held = std::make_shared<int>();
  const std::weak_ptr<int> watched = held;
  auto timer = std::make_shared<std::optional<Timer>>();
  {
    asio::io_context io(1);
    timer->emplace(io.get_executor());
    // The handler is what keeps the timer.
    (*timer)->async_wait([timer, held = std::move(held)](const error_code&) {});
    Timer other(io.get_executor(), std::chrono::hours(1));
    asio::co_spawn(
        io,
        [](Timer mine, std::weak_ptr<int>) -> asio::awaitable<void> {
          (void)co_await mine.async_wait(kTuple);
        }(Timer(io.get_executor(), milliseconds(1)), watched),
        asio::detached);
    timer.reset();
    EXPECT_FALSE(watched.expired());
  }
  EXPECT_TRUE(watched.expired());
}

TEST(Timer, OutlivesTheContextIfNobodyWaits) {
  std::optional<Timer> timer;
  {
    asio::io_context io(1);
    timer.emplace(io.get_executor());
  }
  EXPECT_EQ(timer->cancel(), 0U);
}

}  // namespace
}  // namespace culvert::net
