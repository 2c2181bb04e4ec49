// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/splice.hpp"

#include <utility>

#include <boost/asio/this_coro.hpp>

#include "engine/relay/socket_stream.hpp"
#include "net/cancelled.hpp"
#include "net/pipe_pool.hpp"
#include "net/yield.hpp"

namespace culvert::relay {

namespace asio = boost::asio;

namespace {

/// Less than this at a time is no bulk: a copy is one call each way, too, and needs no pipe.
constexpr std::size_t kLittle = std::size_t{32} * 1024;
/// So often in a row.
constexpr int kLittleTimes = 4;
constexpr std::size_t kSplicedPerTurn = std::size_t{1} << 20;

}  // namespace

bool may_splice(Stream& from, Stream& to) {
  return from.kernel_socket() != nullptr && to.kernel_socket() != nullptr;
}

Task<std::optional<CarryFailure>> splice(Stream& from, Stream& to, Passage& passage) {
  auto pipe = net::Pipe::take();
  if (!pipe) co_return std::nullopt;
  std::size_t in_turn = 0;
  for (int little = 0; little < kLittleTimes;) {
    SocketStream* const source = from.kernel_socket();
    if (source == nullptr) co_return CarryFailure::of_source(cancelled().error());
    const auto got = pipe->fill_from(source->socket());
    if (got.failed()) co_return CarryFailure::of_source(net::io_error("", got.error));
    if (got.would_block() && source->socket().has_been_urgent()) co_return std::nullopt;
    if (got.would_block()) {
      pipe.reset();  // empty: a stream that has become silent keeps none from others
      if (const auto ready = co_await net::wait_readable(source->socket()); !ready)
        co_return CarryFailure::of_source(ready.error());
      auto next = net::Pipe::take();
      if (!next) co_return std::nullopt;
      pipe.emplace(std::move(*next));
      continue;
    }
    if (got.bytes == 0) co_return std::nullopt;
    little = got.bytes < kLittle ? little + 1 : 0;

    while (pipe->size() > 0) {
      SocketStream* const destination = to.kernel_socket();
      if (destination == nullptr) co_return CarryFailure::of_destination(cancelled().error());
      const auto put = pipe->drain_to(destination->socket());
      passage.moved += put.bytes;
      if (put.failed()) co_return CarryFailure::of_destination(net::io_error("", put.error));
      if (!put.would_block()) continue;
      passage.waits = true;
      const auto ready = co_await to.writable();
      passage.waits = false;
      if (!ready) co_return CarryFailure::of_destination(ready.error());
    }
    in_turn += got.bytes;
    if (in_turn < kSplicedPerTurn) continue;
    in_turn = 0;
    co_await net::yield();
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state))
      co_return CarryFailure::of_source(cancelled().error());
  }
  co_return std::nullopt;
}

}  // namespace culvert::relay
