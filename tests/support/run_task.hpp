// SPDX-License-Identifier: Apache-2.0
// Coroutines in tests: run to their end on the test's own thread, within a deadline, so that nothing hangs.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>

#include "net/timer.hpp"

namespace culvert::testing {

inline constexpr std::chrono::seconds kDeadline{120};

/// Runs `context` until `done()`. Throws, so that the test fails, if that takes longer than `deadline`.
template <class Done>
void run_until(boost::asio::io_context& context, Done done, std::chrono::nanoseconds deadline = kDeadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!done()) {
    context.restart();
    const auto ran = context.run_one_until(end);
    if (done()) return;
    if (std::chrono::steady_clock::now() >= end) throw std::runtime_error("the test's deadline passed");
    if (ran == 0 && context.stopped()) throw std::runtime_error("nothing left to wait for, and not done");
  }
}

/// The same where what is waited for is not an event of `context`: `done` is asked every millisecond, too.
template <class Done>
void poll_until(boost::asio::io_context& context, Done done) {
  net::Timer tick(context.get_executor());
  std::function<void()> again = [&] {
    tick.expires_after(std::chrono::milliseconds(1));
    tick.async_wait([&](const boost::system::error_code& error) {
      if (!error) again();
    });
  };
  again();
  run_until(context, done);
  tick.cancel();
  context.poll();
}

/// A coroutine that runs beside others on one io_context; wait() gives its result.
template <class T>
class Running {
 public:
  Running(boost::asio::io_context& context, boost::asio::awaitable<T> task) : context_(context) {
    auto finish = [state = state_](std::exception_ptr failure) {
      state->failure = failure;
      state->done = true;
    };
    boost::asio::co_spawn(context, keep(std::move(task), state_),
                          boost::asio::bind_cancellation_slot(state_->signal.slot(), std::move(finish)));
  }

  [[nodiscard]] bool done() const { return state_->done; }
  /// Asio cancellation (terminal), as an owner would do it: on the executor, so not before the task has
  /// begun, which co_spawn of Boost 1.83 does not survive.
  void cancel() {
    boost::asio::dispatch(context_, [state = state_] {
      if (!state->done) state->signal.emit(boost::asio::cancellation_type::terminal);
    });
  }

  T wait(std::chrono::nanoseconds deadline = kDeadline) {
    run_until(context_, [&] { return state_->done; }, deadline);
    if (state_->failure) std::rethrow_exception(state_->failure);
    if constexpr (!std::is_void_v<T>) return std::move(*state_->value);
  }

 private:
  struct State {
    boost::asio::cancellation_signal signal;
    std::exception_ptr failure;
    std::optional<std::conditional_t<std::is_void_v<T>, int, T>> value;
    bool done = false;
  };
  // co_spawn itself wants results that can be default-constructed; ours cannot.
  static boost::asio::awaitable<void> keep(boost::asio::awaitable<T> task, std::shared_ptr<State> state) {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
    } else {
      state->value.emplace(co_await std::move(task));
    }
  }

  boost::asio::io_context& context_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

template <class T>
Running<T> start(boost::asio::io_context& context, boost::asio::awaitable<T> task) {
  return Running<T>(context, std::move(task));
}

/// Runs one coroutine to its end.
template <class T>
T run(boost::asio::io_context& context, boost::asio::awaitable<T> task,
      std::chrono::nanoseconds deadline = kDeadline) {
  return start(context, std::move(task)).wait(deadline);
}

}  // namespace culvert::testing
