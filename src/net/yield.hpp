// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "net/readiness.hpp"

namespace culvert::net {

/// Lets everybody else on this thread go first, those too who wait for a socket. For loops that may always
/// have more to do: asio::post() would not look at the sockets until there is nothing else to run, so that
/// one flood would silence all others. Cancellation does not end it.
[[nodiscard]] inline boost::asio::awaitable<void> yield() {
  namespace asio = boost::asio;
  return asio::async_initiate<const asio::use_awaitable_t<>, void()>(
      [](auto handler) {
        Readiness& readiness = Readiness::of(asio::get_associated_executor(handler));
        readiness.post_behind_sockets(std::move(handler));
      },
      asio::use_awaitable);
}

/// The rounds of a loop that yields when it has made so many.
class Rounds {
 public:
  explicit Rounds(int of_a_turn) : of_a_turn_(of_a_turn) {}

  /// After each round: whether it was the last one of a turn. The next turn has begun then.
  [[nodiscard]] bool make_a_turn() {
    if (++made_ < of_a_turn_) return false;
    made_ = 0;
    return true;
  }
  /// The loop has waited for something: its turn begins anew.
  void begin() { made_ = 0; }

 private:
  const int of_a_turn_;
  int made_ = 0;
};

}  // namespace culvert::net
