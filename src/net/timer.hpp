// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/system/error_code.hpp>

#include "base/time.hpp"
#include "net/readiness.hpp"

namespace culvert::net {

/// A moment that coroutines and handlers wait for, or, if it never comes, something that wakes them by
/// cancel(). As asio::steady_timer, but the kernel is not told of it: it is the end of net::run()'s sleep.
/// All calls on the thread of its io_context. It may outlive that if nobody waits then.
class Timer final : private Readiness::Alarm {
 public:
  explicit Timer(const boost::asio::any_io_executor& executor, Instant at = kNever)
      : readiness_(&Readiness::of(executor)), at_(at) {}
  Timer(const boost::asio::any_io_executor& executor, Duration after)
      : Timer(executor, monotonic_now() + after) {}
  /// Of one that nobody waits for.
  Timer(Timer&& other) noexcept;
  Timer& operator=(Timer&&) = delete;
  ~Timer() { cancel(); }

  [[nodiscard]] const boost::asio::any_io_executor& get_executor() const { return readiness_->executor(); }

  /// Those who wait now are told so, as by cancel(). How many they were.
  std::size_t expires_at(Instant at);
  std::size_t expires_after(Duration after) { return expires_at(monotonic_now() + after); }

  /// Completes with an error_code: none when the moment has come, asio::error::operation_aborted after
  /// cancel(), expires_at(), Asio cancellation or the end of the timer. Never from inside of this call, nor
  /// of any of those. Any number at a time.
  template <class Token>
  auto async_wait(Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code)>(
        [this](auto handler) {
          const boost::asio::cancellation_slot slot = boost::asio::get_associated_cancellation_slot(handler);
          add(slot, std::move(handler));
        },
        token);
  }
  /// Those who wait now. How many they were.
  std::size_t cancel();

 private:
  using Handler = std::move_only_function<void(boost::system::error_code)>;
  struct Wait {
    unsigned number;
    boost::asio::cancellation_slot slot;
    Handler handler;
  };

  void due() override;
  void dropped() override;
  void add(boost::asio::cancellation_slot slot, Handler handler);
  void cancel_one(unsigned number);
  void complete_all(const boost::system::error_code& error);
  void complete(Wait& wait, const boost::system::error_code& error);

  Readiness* readiness_;
  Instant at_;
  std::vector<Wait> waits_;
  unsigned last_number_ = 0;
};

}  // namespace culvert::net
