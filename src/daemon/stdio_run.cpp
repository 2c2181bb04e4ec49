// SPDX-License-Identifier: Apache-2.0
#include "daemon/stdio_run.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include "base/log.hpp"
#include "engine/relay/stdio_stream.hpp"
#include "net/cancelled.hpp"

namespace culvert::daemon {

namespace asio = boost::asio;

relay::Task<Result<void>> StdioRun::run() {
  const auto executor = co_await asio::this_coro::executor;
  const relay::KnownVisit visit(relay::UnixPath{});  // from no address
  auto dialed = co_await asio::co_spawn(executor, dialer_.dial(destination_, visit),
                                        asio::bind_cancellation_slot(give_up_.slot(), asio::use_awaitable));
  if (aborted_) co_return fail(Errc::cancelled, "stopped");
  if (!dialed) {
    co_return fail(Errc::denied,
                   fmt::format("cannot forward to {}: {}", to_string(destination_), dialed.error().message));
  }
  relay::StdioStream stdio(executor);
  relay::Pump pump(stdio, **dialed);
  pump_ = &pump;
  const auto summary = co_await pump.run();
  pump_ = nullptr;
  log(LogLevel::verbose, "{}: {} bytes out, {} bytes in", to_string(destination_), summary.a_to_b,
      summary.b_to_a);
  // Errc::closed: whoever reads or writes us wanted no more of one direction, and the other one ended in
  // order.
  if (!summary.error || summary.error->code == Errc::closed) {
    co_await closed_by_peer(**dialed);
    co_return Result<void>();
  }
  co_return fail(summary.error->code,
                 fmt::format("forward to {} broke: {}", to_string(destination_), summary.error->message));
}

relay::Task<void> StdioRun::closed_by_peer(relay::Stream& stream) {
  struct Listener final : relay::Stream::CloseListener {
    explicit Listener(relay::Signal& to) : signal(to) {}
    void peer_closed() override {
      is_told = true;
      signal.wake();
    }
    relay::Signal& signal;
    bool is_told = false;
  };
  relay::Signal signal(co_await asio::this_coro::executor);
  Listener listener(signal);
  leaving_ = &signal;
  stream.set_close_listener(&listener);
  while (!listener.is_told && !aborted_ && !net::is_cancelled(co_await asio::this_coro::cancellation_state))
    co_await signal.wait();
  stream.set_close_listener(nullptr);
  leaving_ = nullptr;
}

void StdioRun::abort() {
  aborted_ = true;
  if (leaving_ != nullptr) {
    leaving_->wake();
  } else if (pump_ != nullptr) {
    pump_->stop();
  } else {
    give_up_.emit(asio::cancellation_type::terminal);
  }
}

}  // namespace culvert::daemon
