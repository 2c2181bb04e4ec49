// SPDX-License-Identifier: Apache-2.0
//
// One direction:  from.read() --lends--> to.write() --took n--> from.consume(n)   (credit for the sender)
//                                            | took less than all
//                                            v
//                                  from.keep(), to.writable(), and the rest is lent again
//
// A byte waits in `from` (at most what one read() lends) or in what `to` took; nothing here holds any. What
// stops it is `to`: while it takes nothing, `from` is not read. Between two sockets, bulk goes by splice().
#include "engine/relay/pump.hpp"

#include <cstddef>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "engine/relay/splice.hpp"
#include "net/cancelled.hpp"

namespace culvert::relay {

namespace asio = boost::asio;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

/// Where source and destination are always ready nothing would ever suspend: other streams get their turn
/// after this.
constexpr std::size_t kBytesPerTurn = std::size_t{1} << 20;
constexpr int kReadsPerTurn = 64;

/// A direction is bulk when so many reads in a row lent as much.
constexpr std::size_t kBulkRead = std::size_t{64} * 1024;
constexpr int kBulkReads = 4;

}  // namespace

Task<PumpSummary> Pump::run() {
  const auto executor = co_await asio::this_coro::executor;
  // After a cancellation both directions must still be waited for.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);

  bool back_done = false;
  std::optional<asio::steady_timer> wait_for_back;
  asio::co_spawn(executor, carry(b_, a_, b_to_a_), [&](std::exception_ptr exception) {
    if (exception) {
      exception_ = exception;
      stop();
    }
    b_to_a_.ended = true;
    back_done = true;
    if (wait_for_back) wait_for_back->cancel();
  });
  try {
    co_await carry(a_, b_, a_to_b_);
  } catch (...) {
    exception_ = std::current_exception();
    stop();
  }
  a_to_b_.ended = true;
  while (!back_done) {
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) stop();
    wait_for_back.emplace(executor, asio::steady_timer::time_point::max());
    (void)co_await wait_for_back->async_wait(kTuple);
  }

  if (!over_) {
    a_.close();
    b_.close();
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (exception_) std::rethrow_exception(exception_);
  co_return PumpSummary{a_to_b_.moved, b_to_a_.moved, std::move(error_)};
}

void Pump::stop() { failed({Errc::cancelled, "cancelled"}); }

void Pump::expire(std::string why) {
  Error error{Errc::timed_out, std::move(why)};
  if (a_to_b_.waits || b_to_a_.waits) return failed(std::move(error));
  if (std::exchange(over_, true)) return;
  error_ = std::move(error);
  a_.close();
  b_.close();
}

Task<void> Pump::carry(Stream& from, Stream& to, Passage& passage) {
  std::size_t bytes_in_turn = 0;
  int reads_in_turn = 0;
  int bulk_reads = 0;
  for (;;) {
    auto lent = co_await from.read();
    if (!lent) co_return failed(std::move(lent).error());
    if (lent->empty()) co_return to.end();
    std::size_t size = 0;
    for (const ByteView view : *lent) size += view.size();

    auto taken = to.write(*lent);
    if (!taken) co_return write_failed(std::move(taken).error());
    from.consume(*taken);
    passage.moved += *taken;
    if (*taken < size) {
      from.keep();
      passage.waits = true;
      auto ready = co_await to.writable();
      passage.waits = false;
      if (!ready) co_return write_failed(std::move(ready).error());
    }
    bulk_reads = size >= kBulkRead ? bulk_reads + 1 : 0;
    if (bulk_reads >= kBulkReads && may_splice(from, to)) {
      bulk_reads = 0;
      auto failure = co_await splice(from, to, passage);
      if (failure && failure->is_of_source) co_return failed(std::move(failure->error));
      if (failure) co_return write_failed(std::move(failure->error));
    }
    bytes_in_turn += *taken;
    if (bytes_in_turn >= kBytesPerTurn || ++reads_in_turn >= kReadsPerTurn) {
      bytes_in_turn = 0;
      reads_in_turn = 0;
      // Who is not there when a session has something for him gets a copy of it.
      if (!from.may_read_at_once()) continue;
      co_await asio::post(asio::use_awaitable);
      if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return stop();
    }
  }
}

void Pump::write_failed(Error error) {
  // The destination takes no more, as when a peer closed. What it sent before may still be on its way to the
  // other side, and ends by itself.
  if (error.code == Errc::closed && !over_) {
    if (!error_) error_ = std::move(error);
    return;
  }
  failed(std::move(error));
}

void Pump::failed(Error error) {
  if (std::exchange(over_, true)) return;
  error_ = std::move(error);
  a_.abort();
  b_.abort();
}

}  // namespace culvert::relay
