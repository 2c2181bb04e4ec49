// SPDX-License-Identifier: Apache-2.0
#include "net/parked.hpp"

#include <memory>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <gtest/gtest.h>

namespace culvert::net {
namespace {

TEST(Parked, RunsWhenItIsResumed) {
  boost::asio::io_context context;
  Parked parked;
  int runs = 0;
  parked.park(context.get_executor(), [&] { ++runs; });
  EXPECT_TRUE(parked.is_parked());
  parked.resume(context.get_executor());
  EXPECT_FALSE(parked.is_parked());
  EXPECT_EQ(runs, 0) << "not from inside";
  parked.resume(context.get_executor());
  context.run();
  EXPECT_EQ(runs, 1);
}

TEST(Parked, ACoroutineWaitsUntilItIsResumedOrCancelled) {
  for (const bool cancels : {false, true}) {
    boost::asio::io_context context;
    Parked parked;
    boost::asio::cancellation_signal cancel;
    int cancellations = 0;
    bool over = false;
    const auto waits = [&]() -> boost::asio::awaitable<void> {
      co_await boost::asio::this_coro::throw_if_cancelled(false);
      co_await parked.wait([&] {
        ++cancellations;
        parked.resume(context.get_executor());
      });
      over = true;
    };
    boost::asio::co_spawn(context, waits(),
                          boost::asio::bind_cancellation_slot(cancel.slot(), boost::asio::detached));
    context.poll();
    EXPECT_TRUE(parked.is_parked());
    if (cancels) {
      cancel.emit(boost::asio::cancellation_type::terminal);
    } else {
      parked.resume(context.get_executor());
    }
    EXPECT_FALSE(over) << "not from inside";
    context.run();
    EXPECT_TRUE(over);
    EXPECT_EQ(cancellations, cancels ? 1 : 0);
  }
}

TEST(Parked, WhatHoldsItselfGoesWithTheContext) {
  auto context = std::make_unique<boost::asio::io_context>();
  struct Frame {
    Parked parked;
  };
  std::weak_ptr<Frame> watched;
  {
    auto frame = std::make_shared<Frame>();
    watched = frame;
    Parked& parked = frame->parked;
    parked.park(context->get_executor(), [frame = std::move(frame)] {});
  }
  EXPECT_FALSE(watched.expired());
  context.reset();
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace culvert::net
