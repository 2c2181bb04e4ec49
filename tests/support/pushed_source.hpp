// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "engine/relay/source.hpp"
#include "net/timer.hpp"

namespace culvert::testing {

/// A source that gives what the test pushes into it, and fails when the test says so.
class PushedSource final : public relay::Source {
 public:
  PushedSource(const boost::asio::any_io_executor& executor, std::string name)
      : name_(std::move(name)), changed_(executor) {}

  void push(std::unique_ptr<relay::Pending> pending) {
    waiting_.push_back(std::move(pending));
    changed_.cancel();
  }
  void fail_with(Error error) {
    error_ = std::move(error);
    changed_.cancel();
  }

  relay::Task<Result<std::unique_ptr<relay::Pending>>> next() override {
    while (waiting_.empty()) {
      if (error_) co_return std::unexpected(*error_);
      (void)co_await changed_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }
    auto pending = std::move(waiting_.front());
    waiting_.pop_front();
    co_return pending;
  }
  void stop() override { fail_with({Errc::cancelled, "cancelled"}); }
  std::string name() const override { return name_; }

 private:
  const std::string name_;
  std::deque<std::unique_ptr<relay::Pending>> waiting_;
  std::optional<Error> error_;
  net::Timer changed_;
};

}  // namespace culvert::testing
