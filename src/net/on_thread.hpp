// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "net/run.hpp"

namespace culvert::net {

/// Runs `work`, which blocks, on a thread of `threads`, and returns what it returned. It is not cancelled.
/// `threads` is joined before the io_context of the caller ends: a thread would tell it of its work.
template <class Work>
[[nodiscard]] boost::asio::awaitable<std::invoke_result_t<Work>> on_thread(boost::asio::thread_pool& threads,
                                                                           Work work) {
  namespace asio = boost::asio;
  using Value = std::invoke_result_t<Work>;
  struct Outcome {
    std::exception_ptr exception;
    std::optional<std::conditional_t<std::is_void_v<Value>, bool, Value>> value;
  };
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  Outcome outcome = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Outcome)>(
      [&](auto handler) {
        asio::post(threads, [executor, work = std::move(work), handler = std::move(handler)]() mutable {
          Outcome made;
          try {
            if constexpr (std::is_void_v<Value>) {
              work();
            } else {
              made.value = work();
            }
          } catch (...) {
            made.exception = std::current_exception();
          }
          post_from_outside(executor, [handler = std::move(handler), made = std::move(made)]() mutable {
            std::move(handler)(std::move(made));
          });
        });
      },
      asio::use_awaitable);
  if (outcome.exception) std::rethrow_exception(outcome.exception);
  if constexpr (!std::is_void_v<Value>) co_return std::move(*outcome.value);
}

}  // namespace culvert::net
