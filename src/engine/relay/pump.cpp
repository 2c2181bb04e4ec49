// SPDX-License-Identifier: Apache-2.0
//
// One direction:  from.read() --lends--> to.write() --took n--> from.consume(n)   (credit for the sender)
//                                            | took less than all
//                                            v
//                                  from.keep(), to.writable(), and the rest is lent again
//
// A byte waits in `from` (at most what one read() lends) or in what `to` took; nothing here holds any. What
// stops it is `to`: while it takes nothing, `from` is not read. Between two sockets a Duct does this, and
// splice() where it is bulk; else carry().
#include "engine/relay/pump.hpp"

#include <cerrno>
#include <cstddef>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include "engine/relay/splice.hpp"
#include "net/cancelled.hpp"
#include "net/yield.hpp"

namespace culvert::relay {

namespace asio = boost::asio;

namespace {

/// Where source and destination are always ready nothing would ever suspend: other streams get their turn
/// after this. In a tunnel it takes 0.2 ms, for which all others wait.
constexpr std::size_t kBytesPerTurn = std::size_t{256} * 1024;
constexpr int kReadsPerTurn = 64;

bool are_sockets(Stream& one, Stream& other) {
  return one.kernel_socket() != nullptr && other.kernel_socket() != nullptr;
}

}  // namespace

Task<PumpSummary> Pump::run() {
  executor_ = co_await asio::this_coro::executor;
  // After a cancellation both directions must still be waited for.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);

  for (Direction* direction : {&out_, &back_}) {
    direction->from.set_close_listener(&direction->watch);
    direction->from.set_failure_listener(&direction->watch);
  }
  go_on(back_);
  if (are_sockets(a_, b_)) {
    go_on(out_);
  } else {  // in this coroutine, which would only wait: one less for each stream
    std::exception_ptr exception;
    Carried carried = Carried::over;
    try {
      carried = co_await carry(out_);
    } catch (...) {
      exception = std::current_exception();
    }
    came_to(out_, std::move(exception), carried);
  }
  if (!have_ended()) co_await parked_.wait([this] { stop(); });

  let_go();
  if (!over_) {
    a_.close();
    b_.close();
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (exception_) std::rethrow_exception(exception_);
  co_return PumpSummary{a_to_b(), b_to_a(), std::move(error_)};
}

void Pump::stop() { failed(cancelled().error()); }

void Pump::expire(std::string why) {
  Error error{Errc::timed_out, std::move(why)};
  if (out_.passage.waits || back_.passage.waits || is_held_back()) return failed(std::move(error));
  if (over_) return;
  error_ = std::move(error);
  close_both();
}

void Pump::close_both() {
  over_ = true;
  let_go();
  a_.close();
  b_.close();
}

void Pump::go_on(Direction& direction) {
  if (!are_sockets(direction.from, direction.to)) return start(direction, carry(direction));
  auto over =
      direction.duct.start(*direction.from.kernel_socket(), *direction.to.kernel_socket(), direction.passage);
  if (over) came_to(direction.duct, std::move(*over));
}

void Pump::source_failed(Stream& source) {
  const int error = source.take_failure();
  failed(net::io_error("", error != 0 ? error : ECONNRESET));
}

// Whoever closed its stream wants nothing of the other direction: when its own is over, that leads nowhere,
// and would wait for a source that may have nothing to say any more.
void Pump::source_closed(Direction& direction) {
  direction.source_closed = true;
  if (direction.passage.ended && !have_ended() && !over_) close_both();
}

// Sockets go on without this, while they linger.
void Pump::let_go() {
  for (Stream* stream : {&a_, &b_}) {
    stream->set_close_listener(nullptr);
    stream->set_failure_listener(nullptr);
  }
}

void Pump::came_to(Duct& duct, Duct::Over over) {
  Direction& direction = &duct == &out_.duct ? out_ : back_;
  if (!over) {
    (void)failed(std::move(over).error());
    return ended(direction);
  }
  if (*over == Duct::Outcome::bulk) return start(direction, carry_bulk(direction));
  direction.to.end();
  ended(direction);
}

void Pump::start(Direction& direction, Task<Carried> carry) {
  asio::co_spawn(executor_, std::move(carry),
                 [this, &direction](std::exception_ptr exception, Carried carried) {
                   came_to(direction, std::move(exception), carried);
                 });
}

void Pump::came_to(Direction& direction, std::exception_ptr exception, Carried carried) {
  if (exception) {
    exception_ = std::move(exception);
    stop();
    return ended(direction);
  }
  if (carried == Carried::over) return ended(direction);
  go_on(direction);
}

Task<Pump::Carried> Pump::carry(Direction& direction) {
  Stream& from = direction.from;
  Stream& to = direction.to;
  std::size_t bytes_in_turn = 0;
  int reads_in_turn = 0;
  for (;;) {
    const auto taken = pass_on(direction, co_await from.read());
    if (!taken) co_return Carried::over;
    if (direction.passage.waits) {
      auto ready = co_await to.writable();
      direction.passage.waits = false;
      if (!ready) co_return failed(CarryFailure::of_destination(std::move(ready).error()));
    }
    if (are_sockets(from, to)) co_return Carried::between_sockets;
    bytes_in_turn += *taken;
    if (bytes_in_turn >= kBytesPerTurn || ++reads_in_turn >= kReadsPerTurn) {
      bytes_in_turn = 0;
      reads_in_turn = 0;
      // Who is not there when a session has something for him gets a copy of it.
      if (!from.may_read_at_once()) continue;
      co_await net::yield();
      if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) stop();
      if (over_) co_return Carried::over;
    }
  }
}

// Beside the coroutine, whose frame stays as long as the stream: how much the destination has taken; none: it
// is over.
std::optional<std::size_t> Pump::pass_on(Direction& direction, Result<std::span<const ByteView>> lent) {
  if (!lent) {
    (void)failed(CarryFailure::of_source(std::move(lent).error()));
    return std::nullopt;
  }
  if (lent->empty()) {
    direction.to.end();
    return std::nullopt;
  }
  const std::size_t size = size_of(*lent);
  auto taken = direction.to.write(*lent);
  if (!taken) {
    (void)failed(CarryFailure::of_destination(std::move(taken).error()));
    return std::nullopt;
  }
  direction.from.consume(*taken);
  direction.passage.moved += *taken;
  direction.passage.waits = *taken < size;
  if (direction.passage.waits) direction.from.keep();
  return *taken;
}

Task<Pump::Carried> Pump::carry_bulk(Direction& direction) {
  auto failure = co_await splice(direction.from, direction.to, direction.passage);
  if (failure) co_return failed(std::move(*failure));
  co_await net::yield();
  co_return over_ ? Carried::over : Carried::between_sockets;
}

Pump::Carried Pump::failed(CarryFailure failure) {
  // The destination takes no more, as when a peer closed. What it sent before may still be on its way to the
  // other side, and ends by itself.
  if (!failure.is_of_source && failure.error.code == Errc::closed && !over_) {
    if (!error_) error_ = std::move(failure.error);
  } else {
    failed(std::move(failure.error));
  }
  return Carried::over;
}

void Pump::failed(Error error) {
  if (std::exchange(over_, true)) return;
  error_ = std::move(error);
  a_.abort();
  b_.abort();
}

void Pump::ended(Direction& direction) {
  direction.passage.ended = true;
  if (have_ended()) return parked_.resume(executor_);
  if (direction.source_closed) source_closed(direction);
}

}  // namespace culvert::relay
