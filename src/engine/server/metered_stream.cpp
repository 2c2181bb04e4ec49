// SPDX-License-Identifier: Apache-2.0
#include "engine/server/metered_stream.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.hpp"
#include "net/cancelled.hpp"

namespace culvert::server {

namespace asio = boost::asio;

namespace {

bool has_rate(const files::Limits& limits) {
  return limits.bytes_per_second_in || limits.bytes_per_second_out;
}

std::size_t size_of(std::span<const ByteView> views) {
  std::size_t size = 0;
  for (const ByteView view : views) size += view.size();
  return size;
}

void first_of(std::span<const ByteView> views, std::size_t size, std::vector<ByteView>& part) {
  part.clear();
  for (const ByteView view : views) {
    if (size == 0) return;
    part.push_back(view.first(std::min(size, view.size())));
    size -= part.back().size();
  }
}

}  // namespace

MeteredStream::MeteredStream(asio::any_io_executor executor, std::unique_ptr<relay::Stream> inner,
                             std::shared_ptr<const Permit> permit, StreamName name)
    : executor_(std::move(executor)),
      inner_(std::move(inner)),
      permit_(std::move(permit)),
      name_(std::move(name)),
      is_limited_(has_rate(permit_->grants.user_limits) || has_rate(permit_->grants.key_limits)) {
  const Way in{&Usage::in, &files::Limits::bytes_per_second_in};
  const Way out{&Usage::out, &files::Limits::bytes_per_second_out};
  const bool reads_client = name_.direction == Direction::forwarded;
  read_ = reads_client ? in : out;
  written_ = reads_client ? out : in;
  ++permit_->of_user->streams;
  ++permit_->of_key->streams;
}

MeteredStream::~MeteredStream() {
  --permit_->of_user->streams;
  --permit_->of_key->streams;
  const bool reads_client = name_.direction == Direction::forwarded;
  log_event(LogLevel::notice, "stream_ended", "{}: ended, {} bytes from the client, {} bytes to it, {:.1f} s",
            name_, field("bytes_from_client", (reads_client ? read_ : written_).passed),
            field("bytes_to_client", (reads_client ? written_ : read_).passed),
            field("duration", std::chrono::duration<double>(monotonic_now() - start_).count()));
}

std::size_t MeteredStream::take(const Way& way, std::size_t wanted) {
  if (!is_limited_) return wanted;
  const Instant now = monotonic_now();
  const files::Grants& grants = permit_->grants;
  Bucket& users = *permit_->of_user.*way.bucket;
  const std::size_t of_user = users.take(wanted, grants.user_limits.*way.rate, now);
  const std::size_t both = (*permit_->of_key.*way.bucket).take(of_user, grants.key_limits.*way.rate, now);
  users.give_back(of_user - both);
  return both;
}

void MeteredStream::give_back(const Way& way, std::size_t bytes) {
  (*permit_->of_user.*way.bucket).give_back(bytes);
  (*permit_->of_key.*way.bucket).give_back(bytes);
}

void MeteredStream::count(Way& way, std::size_t bytes) {
  way.passed += bytes;
  permit_->of_user->bytes += bytes;
  permit_->of_key->bytes += bytes;
}

relay::Task<Result<void>> MeteredStream::pause() {
  asio::steady_timer timer(executor_, Bucket::pause());
  (void)co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  if (closed_ || net::is_cancelled(co_await asio::this_coro::cancellation_state))
    co_return fail(Errc::cancelled, "the stream was closed");
  co_return check_limits(*permit_);
}

// What may not pass yet stays with the stream below, which lends it again.
relay::Task<Result<std::span<const ByteView>>> MeteredStream::read() {
  for (;;) {
    CO_TRY(check_limits(*permit_));
    auto lent = co_await inner_->read();
    if (!lent || lent->empty() || !is_limited_) co_return lent;
    if (const std::size_t may = take(read_, size_of(*lent)); may > 0) {
      first_of(*lent, may, lent_part_);
      co_return std::span<const ByteView>(lent_part_);
    }
    inner_->keep();
    if (auto go_on = co_await pause(); !go_on) co_return std::unexpected(std::move(go_on).error());
  }
}

void MeteredStream::consume(std::size_t n) {
  count(read_, n);
  inner_->consume(n);
  if (is_limited_) inner_->keep();  // of what it lent, whoever reads saw a part
}

Result<std::size_t> MeteredStream::write(std::span<const ByteView> bytes) {
  TRY(check_limits(*permit_));
  const std::size_t size = is_limited_ ? size_of(bytes) : 0;
  const std::size_t may = is_limited_ ? take(written_, size) : 0;
  throttled_ = may < size;
  if (throttled_) {
    first_of(bytes, may, written_part_);
    bytes = written_part_;
  }
  const std::size_t written = bytes.empty() ? 0 : TRY(inner_->write(bytes));
  if (is_limited_ && written < may) {
    give_back(written_, may - written);
    throttled_ = false;
  }
  count(written_, written);
  return written;
}

relay::Task<Result<void>> MeteredStream::writable() {
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

}  // namespace culvert::server
