// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <utility>

#include "engine/connection/waiter.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::connection {

/// Events on their way to the one coroutine that answers them at its own pace (it may ask a person). The
/// session sends at most one question before its answer, and banners within its limit before login, so this
/// stays short.
class Inbox {
 public:
  /// Lets the waiting coroutine go on, on this stack.
  void put(ssh::Event event) {
    events_.push_back(std::move(event));
    waiter_.resume();
  }

  /// The next one; none after Asio cancellation.
  [[nodiscard]] relay::Task<std::optional<ssh::Event>> take() {
    if (events_.empty()) (void)co_await waiter_.wait();
    if (events_.empty()) co_return std::nullopt;
    auto event = std::move(events_.front());
    events_.pop_front();
    co_return event;
  }

  [[nodiscard]] bool empty() const { return events_.empty(); }

  /// No more events come, ever, and the executor has stopped: the coroutine that waits is unwound.
  void abandon() { waiter_.abandon(); }

 private:
  std::deque<ssh::Event> events_;
  Waiter waiter_;
};

}  // namespace culvert::connection
