// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/task_set.hpp"

#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

namespace culvert::relay {
namespace {

class TaskSetTest : public ::testing::Test {
 protected:
  Task<void> sleeps_until_told() {
    while (!is_told_) co_await told_.wait();
    said_.emplace_back("slept");
  }
  static Task<void> throws() {
    throw std::runtime_error("no memory");
    co_return;
  }
  Task<void> waits_for_all() {
    co_await tasks_.all_ended();
    said_.emplace_back("all ended");
  }

  boost::asio::io_context io_{1};
  Signal changed_{io_.get_executor()}, told_{io_.get_executor()};
  std::vector<std::string> said_;
  bool is_told_ = false;
  TaskSet tasks_{changed_, [this](const Error& error) { said_.push_back(error.message); }};
};

TEST_F(TaskSetTest, WaitsForThoseThatRun) {
  tasks_.spawn(sleeps_until_told());
  boost::asio::co_spawn(io_, waits_for_all(), boost::asio::detached);
  io_.poll();
  EXPECT_FALSE(tasks_.empty());
  EXPECT_TRUE(said_.empty());
  is_told_ = true;
  told_.wake();
  io_.run_for(std::chrono::seconds(5));
  EXPECT_TRUE(tasks_.empty());
  EXPECT_EQ(said_, (std::vector<std::string>{"slept", "all ended"}));
}

TEST_F(TaskSetTest, TellsOfOneThatThrew) {
  tasks_.spawn(throws());
  boost::asio::co_spawn(io_, waits_for_all(), boost::asio::detached);
  io_.run_for(std::chrono::seconds(5));
  EXPECT_TRUE(tasks_.empty());
  EXPECT_EQ(said_, (std::vector<std::string>{"no memory", "all ended"}));
}

}  // namespace
}  // namespace culvert::relay
