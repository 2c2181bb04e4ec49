// SPDX-License-Identifier: Apache-2.0
#include "daemon/stdio_run.hpp"

#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <gtest/gtest.h>

#include "net/as_tuple.hpp"

namespace culvert::daemon {
namespace {

namespace asio = boost::asio;
using Dialed = std::expected<std::unique_ptr<relay::Stream>, relay::DialError>;

class Refusing final : public relay::Dialer {
 public:
  relay::Task<Dialed> dial(const relay::Endpoint&, const relay::Visit&) override {
    co_return std::unexpected(relay::DialError{relay::Refusal::connection_refused,
                                               "open failed: connect failed: Connection refused"});
  }
};

class Silent final : public relay::Dialer {
 public:
  relay::Task<Dialed> dial(const relay::Endpoint&, const relay::Visit&) override {
    asio::steady_timer never(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    (void)co_await never.async_wait(net::kTuple);
    co_return std::unexpected(relay::DialError{relay::Refusal::timed_out, "given up"});
  }
};

TEST(StdioRun, ARefusalIsTheLineForTheUser) {
  asio::io_context io;
  Refusing dialer;
  StdioRun run(dialer, relay::HostPort{"inner", 22});
  std::optional<Result<void>> result;
  asio::co_spawn(io, [&]() -> relay::Task<void> { result = co_await run.run(); }, asio::detached);
  io.run();
  ASSERT_TRUE(result && !*result);
  EXPECT_EQ(result->error().message,
            "cannot forward to inner:22: open failed: connect failed: Connection refused");
}

TEST(StdioRun, AbortGivesUpASilentDial) {
  asio::io_context io;
  Silent dialer;
  StdioRun run(dialer, relay::HostPort{"inner", 22});
  std::optional<Result<void>> result;
  asio::co_spawn(io, [&]() -> relay::Task<void> { result = co_await run.run(); }, asio::detached);
  io.poll();
  EXPECT_FALSE(result);
  run.abort();
  run.abort();
  io.run();  // ends
  ASSERT_TRUE(result && !*result);
  EXPECT_EQ(result->error().code, Errc::cancelled);
}

}  // namespace
}  // namespace culvert::daemon
