// SPDX-License-Identifier: Apache-2.0
#include "net/timer.hpp"

#include <algorithm>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include "base/assert.hpp"

namespace culvert::net {

namespace asio = boost::asio;

Timer::Timer(Timer&& other) noexcept : readiness_(other.readiness_), at_(other.at_) {
  CULVERT_ASSERT(other.waits_.empty());
}

std::size_t Timer::expires_at(Instant at) {
  const std::size_t waited = cancel();
  at_ = at;
  return waited;
}

std::size_t Timer::cancel() {
  const std::size_t waited = waits_.size();
  if (waited == 0) return 0;
  readiness_->forget(*this);
  complete_all(asio::error::operation_aborted);
  return waited;
}

void Timer::due() { complete_all({}); }

void Timer::dropped() { const auto gone = std::exchange(waits_, {}); }  // which may be the end of this

void Timer::add(asio::cancellation_slot slot, Handler handler) {
  const unsigned number = ++last_number_;
  waits_.push_back({number, slot, std::move(handler)});
  if (waits_.size() == 1) readiness_->wait_until(at_, *this);
  if (slot.is_connected()) slot.assign([this, number](asio::cancellation_type) { cancel_one(number); });
}

void Timer::cancel_one(unsigned number) {
  const auto wait = std::ranges::find(waits_, number, &Wait::number);
  if (wait == waits_.end()) return;
  complete(*wait, asio::error::operation_aborted);
  waits_.erase(wait);
  if (waits_.empty()) readiness_->forget(*this);
}

void Timer::complete_all(const boost::system::error_code& error) {
  for (Wait& wait : waits_) complete(wait, error);
  waits_.clear();
}

// The handler may run when the timer has gone: nothing may reach the timer by the slot any more.
void Timer::complete(Wait& wait, const boost::system::error_code& error) {
  if (wait.slot.is_connected()) wait.slot.clear();
  asio::post(readiness_->executor(),
             [handler = std::move(wait.handler), error]() mutable { handler(error); });
}

}  // namespace culvert::net
