// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/time.hpp"

namespace culvert::daemon {

/// Where one coroutine sleeps until others have changed something. It looks at the state itself, in a loop:
/// `while (!done_) co_await changed_.wait();`. Any number may wake it, on the same thread.
class Event {
 public:
  explicit Event(const boost::asio::any_io_executor& executor) : timer_(executor) {}

  /// Returns after wake(), after `time`, or for no reason.
  [[nodiscard]] boost::asio::awaitable<void> wait(Duration time = std::chrono::hours(24)) {
    timer_.expires_after(time);
    (void)co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  void wake() { timer_.cancel(); }

 private:
  boost::asio::steady_timer timer_;
};

}  // namespace culvert::daemon
