// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/metered_stream.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "net/as_tuple.hpp"
#include "net/cancelled.hpp"

namespace culvert::relay {

namespace asio = boost::asio;

namespace {

void first_of(std::span<const ByteView> views, std::size_t size, std::vector<ByteView>& part) {
  part.clear();
  for (const ByteView view : views) {
    if (size == 0) return;
    part.push_back(view.first(std::min(size, view.size())));
    size -= part.back().size();
  }
}

}  // namespace

MeteredStream::MeteredStream(asio::any_io_executor executor, std::unique_ptr<Stream> inner,
                             std::unique_ptr<Meter> meter)
    : executor_(std::move(executor)),
      inner_(std::move(inner)),
      meter_(std::move(meter)),
      is_limited_(meter_->is_limiting()) {}

Task<Result<void>> MeteredStream::pause() {
  asio::steady_timer timer(executor_, Bucket::pause());
  (void)co_await timer.async_wait(net::kTuple);
  if (closed_ || net::is_cancelled(co_await asio::this_coro::cancellation_state))
    co_return fail(Errc::cancelled, "the stream was closed");
  co_return meter_->check();
}

// What may not pass yet stays with the stream below, which lends it again.
Task<Result<std::span<const ByteView>>> MeteredStream::read() {
  for (;;) {
    CO_TRY(meter_->check());
    auto lent = co_await inner_->read();
    if (!lent || lent->empty() || !is_limited_) co_return lent;
    if (const std::size_t may = meter_->take(Meter::Way::read, size_of(*lent)); may > 0) {
      first_of(*lent, may, lent_part_);
      co_return std::span<const ByteView>(lent_part_);
    }
    inner_->keep();
    if (auto go_on = co_await pause(); !go_on) co_return std::unexpected(std::move(go_on).error());
  }
}

void MeteredStream::consume(std::size_t n) {
  meter_->count(Meter::Way::read, n);
  inner_->consume(n);
  if (is_limited_) inner_->keep();  // of what it lent, whoever reads saw a part
}

Result<std::size_t> MeteredStream::write(std::span<const ByteView> bytes) {
  TRY(meter_->check());
  const std::size_t size = is_limited_ ? size_of(bytes) : 0;
  const std::size_t may = is_limited_ ? meter_->take(Meter::Way::written, size) : 0;
  throttled_ = may < size;
  if (throttled_) {
    first_of(bytes, may, written_part_);
    bytes = written_part_;
  }
  const std::size_t written = bytes.empty() ? 0 : TRY(inner_->write(bytes));
  if (is_limited_ && written < may) {
    meter_->give_back(Meter::Way::written, may - written);
    throttled_ = false;
  }
  meter_->count(Meter::Way::written, written);
  return written;
}

Task<Result<void>> MeteredStream::writable() {
  if (throttled_) return pause();
  return inner_->writable();
}

void MeteredStream::close() {
  closed_ = true;
  inner_->close();
}

void MeteredStream::abort() {
  closed_ = true;
  inner_->abort();
}

}  // namespace culvert::relay
