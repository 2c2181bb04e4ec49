// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

#include "engine/relay/signal.hpp"
#include "engine/relay/stream.hpp"
#include "net/run.hpp"

namespace culvert::relay {

/// Runs a task on the thread of `there`, which may be another one, and returns what that returned. Neither
/// thread ever holds a coroutine of the other, so their contexts may end in any order once both threads have
/// stopped. It is not cancelled, and does not return if `there` stops before.
template <class T>
[[nodiscard]] Task<T> elsewhere(boost::asio::any_io_executor there, std::function<Task<T>()> task) {
  struct Answer {
    explicit Answer(const boost::asio::any_io_executor& home) : has_come(home) {}
    Signal has_come;
    std::optional<T> value;
  };
  const auto answer = std::make_shared<Answer>(co_await boost::asio::this_coro::executor);
  net::post_from_outside(there, [there, answer, task = std::move(task)]() mutable {
    boost::asio::co_spawn(
        there,
        [](std::shared_ptr<Answer> to, std::function<Task<T>()> what) -> Task<void> {
          T value = co_await what();
          net::post_from_outside(to->has_come.executor(), [to, value = std::move(value)]() mutable {
            to->value = std::move(value);
            to->has_come.wake();
          });
        }(std::move(answer), std::move(task)),
        boost::asio::detached);
  });
  while (!answer->value) co_await answer->has_come.wait();
  co_return *std::move(answer->value);
}

}  // namespace culvert::relay
