// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

namespace culvert::net {

/// Whether the running coroutine has been cancelled: `if (is_cancelled(co_await
/// boost::asio::this_coro::cancellation_state))`. After that an ordinary co_await would throw, so leave
/// without another one.
[[nodiscard]] inline bool is_cancelled(const boost::asio::cancellation_state& state) {
  return state.cancelled() != boost::asio::cancellation_type::none;
}

}  // namespace culvert::net
