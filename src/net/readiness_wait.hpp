// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/post.hpp>

#include "net/readiness.hpp"

namespace culvert::net {

/// Keeps a handler of bool until a socket is ready.
template <class Handler>
class ReadinessWait final : public Readiness::Waiter {
 public:
  ReadinessWait(const boost::asio::any_io_executor& executor, Handler handler)
      : executor_(executor), handler_(std::move(handler)) {}

  void ready() override {
    Handler handler = take();
    std::move(handler)(true);
  }
  void cancelled() override { post(false); }
  void dropped() override { (void)take(); }
  void post(bool is_ready) {
    const boost::asio::any_io_executor& executor = executor_;
    boost::asio::post(executor, [handler = take(), is_ready]() mutable { std::move(handler)(is_ready); });
  }

 private:
  Handler take() {
    Handler handler = std::move(handler_);
    delete this;
    return handler;
  }

  const boost::asio::any_io_executor& executor_;  // of the Readiness
  Handler handler_;
};

/// Calls `handler(bool)` when `watch` is ready: true. False after cancel(), remove() or Asio cancellation of
/// the handler, or if it cannot be waited for. Never from inside this call.
template <class Handler>
void async_wait_ready(Readiness& readiness, Readiness::Watch watch, Readiness::Direction direction,
                      Handler handler) {
  auto slot = boost::asio::get_associated_cancellation_slot(handler);
  auto waiter = std::make_unique<ReadinessWait<Handler>>(readiness.executor(), std::move(handler));
  const bool is_ready = readiness.is_ready(watch, direction);
  if (is_ready || !readiness.wait(watch, direction, *waiter)) return waiter.release()->post(is_ready);
  const Readiness::Waiter* const waits = waiter.release();  // deletes itself
  if (!slot.is_connected()) return;
  slot.assign([&readiness, watch, direction, waits](boost::asio::cancellation_type) {
    readiness.cancel(watch, direction, waits);
  });
}

}  // namespace culvert::net
