// SPDX-License-Identifier: Apache-2.0
#include "daemon/life.hpp"

#include <latch>
#include <memory>

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

#include "net/run.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::daemon {
namespace {

TEST(Life, OfOneThreadAlone) {
  boost::asio::io_context io{1};
  const net::WorkerThreads none(1);
  testing::run(io, all_answer(none));
}

TEST(Life, NotWhileOneHangs) {
  boost::asio::io_context io{1};
  net::WorkerThreads threads(3);
  threads.start();
  testing::run(io, all_answer(threads));
  const auto goes_on = std::make_shared<std::latch>(1);
  net::post_from_outside(threads.executor(1), [goes_on] { goes_on->wait(); });
  auto answered = testing::start(io, all_answer(threads));
  io.run_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(answered.done());
  goes_on->count_down();
  answered.wait();
}

}  // namespace
}  // namespace culvert::daemon
