// SPDX-License-Identifier: Apache-2.0
#include "engine/connection/stream_carrier.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "engine/connection/waiter.hpp"
#include "net/yield.hpp"

namespace culvert::connection {

namespace asio = boost::asio;

// fetch() reads the stream on behalf of whoever waits in readable(), and lets him go on on its own stack, so
// that the bytes he takes are copied once. A Stream has no way to give up a single read(): so the read goes
// on while nobody waits, and what it brings is kept by the stream.
struct StreamCarrier::State {
  State(asio::any_io_executor on, std::unique_ptr<relay::Stream> over)
      : executor(std::move(on)), stream(std::move(over)) {}

  const asio::any_io_executor executor;
  std::unique_ptr<relay::Stream> stream;
  std::span<const ByteView> lent;  // while fetch() lets the reader go on; empty otherwise
  std::size_t lent_taken = 0;      // of lent.front()
  std::optional<int> over;         // no more comes: 0 at the end, else errno
  Waiter reader;                   // readable()
  Waiter wanted;                   // fetch(), while nobody waits in readable()
  bool started = false;
  bool closed = false;
};

namespace {

int errno_of(const Error& error) {
  if (error.detail != 0) return static_cast<int>(error.detail);
  return error.code == Errc::closed ? EPIPE : ECONNRESET;
}

// `owner` keeps the stream. Never on the stack of whoever asks, where co_spawn() begins.
relay::Task<void> wait_and_go_on([[maybe_unused]] std::shared_ptr<void> owner, relay::Stream& stream,
                                 std::function<void()> go_on) {
  co_await net::yield();
  (void)co_await stream.writable();
  go_on();
}

}  // namespace

StreamCarrier::StreamCarrier(asio::any_io_executor executor, std::unique_ptr<relay::Stream> stream)
    : state_(std::make_shared<State>(std::move(executor), std::move(stream))) {}

StreamCarrier::~StreamCarrier() {
  // Who still waits was left by an executor that has ended.
  state_->reader.abandon();
  state_->wanted.abandon();
  close();
}

asio::any_io_executor StreamCarrier::executor() { return state_->executor; }

net::Transferred StreamCarrier::read(MutableBytes into) {
  State& state = *state_;
  std::size_t taken = 0;
  while (taken < into.size() && !state.lent.empty()) {
    const ByteView rest = state.lent.front().subspan(state.lent_taken);
    const std::size_t n = std::min(rest.size(), into.size() - taken);
    if (n > 0) std::memcpy(into.data() + taken, rest.data(), n);
    taken += n;
    state.lent_taken += n;
    if (n < rest.size()) break;
    state.lent = state.lent.subspan(1);
    state.lent_taken = 0;
  }
  if (taken > 0) {
    state.stream->consume(taken);
    return {.bytes = taken, .error = 0};
  }
  return {.bytes = 0, .error = state.over.value_or(EAGAIN)};
}

net::Transferred StreamCarrier::write(ByteView bytes) {
  const auto taken = state_->stream->write({&bytes, 1});
  if (!taken) return {.bytes = 0, .error = errno_of(taken.error())};
  return {.bytes = *taken, .error = *taken == 0 ? EAGAIN : 0};
}

relay::Task<void> StreamCarrier::readable() {
  const auto state = state_;
  if (state->over || state->closed) co_return;
  if (!std::exchange(state->started, true)) asio::co_spawn(state->executor, fetch(state), asio::detached);
  state->wanted.post(state->executor);
  (void)co_await state->reader.wait();
}

relay::Task<void> StreamCarrier::fetch(std::shared_ptr<State> state) {
  for (;;) {
    // At the start as well: co_spawn() runs this before its caller has come to wait.
    while (!state->reader.waiting() && !state->closed) (void)co_await state->wanted.wait();
    if (state->closed) co_return;
    const auto got = co_await state->stream->read();
    if (state->closed) co_return;
    if (!got || got->empty()) {
      state->over = got ? 0 : errno_of(got.error());
      state->reader.resume();
      co_return;
    }
    state->lent = *got;
    state->lent_taken = 0;
    state->reader.resume();
    if (state->closed) co_return;
    if (!state->lent.empty()) state->stream->keep();
    state->lent = {};
  }
}

void StreamCarrier::when_writable(std::function<void()> go_on) {
  asio::co_spawn(state_->executor, wait_and_go_on(state_, *state_->stream, std::move(go_on)), asio::detached);
}

// A stream has no way to wake one who waits for it to become writable. Nobody needs that: such a wait ends
// with the stream, and until then there is something to send.
void StreamCarrier::cancel() { state_->reader.post(state_->executor); }

void StreamCarrier::close() {
  if (std::exchange(state_->closed, true)) return;
  state_->stream->close();
  state_->reader.post(state_->executor);
  state_->wanted.post(state_->executor);
}

}  // namespace culvert::connection
