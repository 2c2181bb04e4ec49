// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/intrusive/list_hook.hpp>

namespace culvert::net {

/// A handler that waits for somebody to call resume(). What it keeps alive may hold this object, as the frame
/// of a coroutine does that waits here: it goes with the io_context at the latest. On the thread of the
/// context.
class Parked
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  /// `executor` is of the context. Nobody is parked here yet.
  void park(const boost::asio::any_io_executor& executor, std::move_only_function<void()> handler);
  /// Parks the coroutine that awaits this. `cancelled` is called at an Asio cancellation, and sees to it that
  /// resume() is.
  template <class Cancelled>
  [[nodiscard]] boost::asio::awaitable<void> wait(Cancelled cancelled) {
    namespace asio = boost::asio;
    return asio::async_initiate<const asio::use_awaitable_t<>, void()>(
        [this, cancelled = std::move(cancelled)](auto handler) {
          auto slot = asio::get_associated_cancellation_slot(handler);
          if (slot.is_connected()) slot.assign([cancelled](asio::cancellation_type) { cancelled(); });
          const auto executor = asio::get_associated_executor(handler);
          park(executor, std::move(handler));
        },
        asio::use_awaitable);
  }
  [[nodiscard]] bool is_parked() const { return static_cast<bool>(handler_); }
  /// Posts the handler, if there is one.
  void resume(const boost::asio::any_io_executor& executor);

 private:
  class Lot;
  std::move_only_function<void()> handler_;
};

}  // namespace culvert::net
