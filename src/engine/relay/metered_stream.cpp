// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/metered_stream.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "net/as_tuple.hpp"
#include "net/cancelled.hpp"
#include "net/timer.hpp"

namespace culvert::relay {

namespace asio = boost::asio;

namespace {

/// Between two looks at the meter, whose limits may be over before a turn comes.
constexpr Duration kLongestPause = std::chrono::seconds(1);

void first_of(std::span<const ByteView> views, std::size_t size, std::vector<ByteView>& part) {
  part.clear();
  for (const ByteView view : views) {
    if (size == 0) return;
    part.push_back(view.first(std::min(size, view.size())));
    size -= part.back().size();
  }
}

}  // namespace

MeteredStream::~MeteredStream() {
  for (Side* side : {&read_, &written_}) give_back(*side);
}

void MeteredStream::give_back(Side& side) {
  side.waited_for = 0;
  if (const std::size_t count = std::exchange(side.turn.count, 0); count > 0)
    meter_->give_back(side.way, count);
}

// Who waited for a turn and used it up wants as much again: in bulk they grow to what one may have at most.
void MeteredStream::take_turn(Side& side, std::size_t wanted, Instant now) {
  side.turn = meter_->turn(side.way, std::max(wanted, side.waited_for), now);
  side.waited_for = side.turn.at > now ? side.turn.count : 0;
}

// A turn is used up by several reads or writes.
std::size_t MeteredStream::may_pass(Side& side, std::size_t wanted) {
  const Instant now = monotonic_now();
  if (now > side.turn.at + Bucket::kTurnLasts) give_back(side);
  if (side.turn.count == 0) take_turn(side, wanted, now);
  if (side.turn.at > now) return 0;
  const std::size_t may = std::min(wanted, side.turn.count);
  side.turn.count -= may;
  return may;
}

Task<Result<void>> MeteredStream::pause(Side& side) {
  if (!side.timer) side.timer = std::make_unique<net::Timer>(co_await asio::this_coro::executor);
  Result<void> go_on;
  ++pauses_;
  do {  // once at least: those whose turns have come meanwhile are before us
    const Duration left = side.turn.at - monotonic_now();
    side.timer->expires_after(std::min(left, kLongestPause));
    (void)co_await side.timer->async_wait(net::kTuple);
    go_on = closed_ || net::is_cancelled(co_await asio::this_coro::cancellation_state)
                ? fail(Errc::cancelled, "the stream was closed")
                : meter_->check();
  } while (go_on && side.turn.at > monotonic_now());
  --pauses_;
  co_return go_on;
}

// Most streams have no limit: they cost no coroutine more than the stream beneath.
Task<Result<std::span<const ByteView>>> MeteredStream::read() {
  lent_in_part_ = false;
  return !meter_->is_limiting() && meter_->check() ? inner_->read() : read_as_limited();
}

// What may not pass yet stays with the stream below, which lends it again.
Task<Result<std::span<const ByteView>>> MeteredStream::read_as_limited() {
  for (;;) {
    CO_TRY(meter_->check());
    auto lent = co_await inner_->read();
    lent_in_part_ = false;
    if (!lent || lent->empty() || !meter_->is_limiting()) co_return lent;
    const std::size_t size = size_of(*lent);
    paid_ = may_pass(read_, size);
    lent_in_part_ = paid_ < size;
    if (!lent_in_part_) co_return lent;
    if (paid_ > 0) {
      first_of(*lent, paid_, lent_part_);
      co_return std::span<const ByteView>(lent_part_);
    }
    inner_->keep();
    if (auto go_on = co_await pause(read_); !go_on) co_return std::unexpected(std::move(go_on).error());
  }
}

void MeteredStream::consume(std::size_t n) {
  meter_->count(Meter::Way::read, n);
  inner_->consume(n);
  if (lent_in_part_) inner_->keep();  // whoever reads knows nothing of the rest
  // What the destination did not take is lent again, and paid for then: others may have it meanwhile.
  if (const std::size_t paid = std::exchange(paid_, 0); paid > n)
    meter_->give_back(Meter::Way::read, paid - n);
}

Result<std::size_t> MeteredStream::write(std::span<const ByteView> bytes) {
  TRY(meter_->check());
  const bool is_limited = meter_->is_limiting();
  const std::size_t size = is_limited ? size_of(bytes) : 0;
  const std::size_t may = is_limited ? may_pass(written_, size) : 0;
  throttled_ = may < size;
  unwritten_ = size - may;
  if (throttled_) {
    first_of(bytes, may, written_part_);
    bytes = written_part_;
  }
  const std::size_t written = bytes.empty() ? 0 : TRY(inner_->write(bytes));
  if (is_limited && written < may) {
    meter_->give_back(Meter::Way::written, may - written);
    throttled_ = false;
  }
  meter_->count(Meter::Way::written, written);
  return written;
}

Task<Result<void>> MeteredStream::writable() {
  if (!throttled_) return inner_->writable();
  if (written_.turn.count == 0) take_turn(written_, unwritten_, monotonic_now());
  return pause(written_);
}

void MeteredStream::wake() {
  for (const Side* side : {&read_, &written_})
    if (side->timer) side->timer->cancel();
}

void MeteredStream::close() {
  closed_ = true;
  wake();
  inner_->close();
}

void MeteredStream::abort() {
  closed_ = true;
  wake();
  inner_->abort();
}

}  // namespace culvert::relay
