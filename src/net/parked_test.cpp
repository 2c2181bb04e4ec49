// SPDX-License-Identifier: Apache-2.0
#include "net/parked.hpp"

#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>

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
