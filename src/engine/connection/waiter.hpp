// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>

#include "engine/relay/stream.hpp"

namespace culvert::connection {

/// A place where one coroutine waits until somebody on the same thread lets it go on, either on his own stack
/// or later. Costs nothing while nobody waits.
class Waiter {
 public:
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() = default;  ///< unwinds the coroutine that waits

  /// True once resumed; false after Asio cancellation. One coroutine at a time.
  [[nodiscard]] relay::Task<bool> wait();
  [[nodiscard]] bool waiting() const { return static_cast<bool>(handler_); }

  /// Runs the coroutine here and now until it suspends again. It may destroy this object: touch nothing of it
  /// afterwards. Does nothing if nobody waits.
  void resume() { complete(true); }
  /// Lets it go on from its executor, soon. Does nothing if nobody waits.
  void post(const boost::asio::any_io_executor& executor);
  /// Unwinds the coroutine instead of letting it go on: its executor has stopped for good.
  void abandon() { handler_ = nullptr; }

 private:
  using Handler = boost::asio::any_completion_handler<void(bool)>;

  void complete(bool resumed);

  Handler handler_;
};

}  // namespace culvert::connection
