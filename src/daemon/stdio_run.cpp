// SPDX-License-Identifier: Apache-2.0
#include "daemon/stdio_run.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include "base/log.hpp"
#include "engine/relay/stdio_stream.hpp"

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
  if (!summary.error || summary.error->code == Errc::closed) co_return Result<void>();
  co_return fail(summary.error->code,
                 fmt::format("forward to {} broke: {}", to_string(destination_), summary.error->message));
}

void StdioRun::abort() {
  aborted_ = true;
  if (pump_ != nullptr) {
    pump_->stop();
  } else {
    give_up_.emit(asio::cancellation_type::terminal);
  }
}

}  // namespace culvert::daemon
