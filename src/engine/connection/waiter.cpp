// SPDX-License-Identifier: Apache-2.0
#include "engine/connection/waiter.hpp"

#include <utility>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/assert.hpp"

namespace culvert::connection {

namespace asio = boost::asio;

relay::Task<bool> Waiter::wait() {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(bool)>(
      [this](auto handler) {
        CULVERT_ASSERT(!waiting());
        const auto executor = asio::get_associated_executor(handler);
        Handler(std::move(handler)).swap(handler_);  // Boost 1.81's move assignment copies itself without end
        // Never completes inside the cancellation itself: whoever cancels does not expect us on his stack.
        if (auto slot = asio::get_associated_cancellation_slot(handler_); slot.is_connected()) {
          slot.assign([this, executor](asio::cancellation_type) {
            asio::post(executor, [stopped = std::exchange(handler_, nullptr)]() mutable {
              if (stopped) std::move(stopped)(false);
            });
          });
        }
      },
      asio::use_awaitable);
}

void Waiter::post(const asio::any_io_executor& executor) {
  if (!waiting()) return;
  asio::post(executor, [handler = std::exchange(handler_, nullptr)]() mutable { std::move(handler)(true); });
}

void Waiter::complete(bool resumed) {
  if (!waiting()) return;
  auto handler = std::exchange(handler_, nullptr);
  std::move(handler)(resumed);
}

}  // namespace culvert::connection
