// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>

#include "base/result.hpp"
#include "engine/relay/signal.hpp"
#include "engine/relay/stream.hpp"

namespace culvert::relay {

/// Coroutines that work for one owner, on its thread. It must outlive them: see all_ended().
class TaskSet {
 public:
  /// `changed` is woken each time that one ends, and must outlive this. `failed` is told of one that threw
  /// where nothing should.
  TaskSet(Signal& changed, std::function<void(Error)> failed)
      : changed_(changed), failed_(std::move(failed)) {}
  TaskSet(const TaskSet&) = delete;
  TaskSet& operator=(const TaskSet&) = delete;

  /// `cancelled`: what a signal cancels it by, if it has one.
  void spawn(Task<void> task, boost::asio::cancellation_slot cancelled = {}) {
    ++running_;
    const auto ended = [this](const std::exception_ptr& exception) {
      --running_;
      changed_.wake();
      if (exception) failed_(error_of(exception));
    };
    boost::asio::co_spawn(changed_.executor(), std::move(task),
                          boost::asio::bind_cancellation_slot(cancelled, ended));
  }

  [[nodiscard]] bool empty() const { return running_ == 0; }

  /// Returns when it is empty; it ends none of them.
  [[nodiscard]] Task<void> all_ended() {
    while (!empty()) co_await changed_.wait();
  }

 private:
  Signal& changed_;
  const std::function<void(Error)> failed_;
  std::size_t running_ = 0;
};

}  // namespace culvert::relay
