// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/proxy_header_dialer.hpp"

#include <memory>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "proto/proxyproto/header.hpp"
#include "tests/support/memory_stream.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"

namespace culvert::relay {
namespace {

namespace asio = boost::asio;
using testing::MemoryStream;
using testing::receive_all;
using testing::run;
using testing::send_all;
using testing::start;

/// Refuses port 2; others are answered with a stream whose far end the test gets.
class InnerDialer final : public Dialer, private FarListener {
 public:
  explicit InnerDialer(asio::io_context& context) : context_(context) {}
  Task<Dialed> dial(const Endpoint& destination, const Visit& visit) override {
    EXPECT_EQ(to_string(visit.origin()), "203.0.113.9:40000");
    if (destination == Endpoint(HostPort{"db", 2}))
      co_return std::unexpected(DialError{Refusal::connection_refused, "open failed", {"a rule"}});
    auto [here, there] = MemoryStream::make(context_.get_executor(), options);
    far_end = std::move(there);
    co_return std::move(here);
  }
  FarListener* far_listener() override { return this; }

  testing::MemoryStreamOptions options;
  std::unique_ptr<MemoryStream> far_end;

 private:
  Task<Bound> listen(const Endpoint&) override { co_return std::unexpected(DialError{Refusal::closed, ""}); }
  asio::io_context& context_;
};

class ProxyHeaderDialerTest : public ::testing::Test {
 protected:
  asio::io_context context;
  InnerDialer inner{context};
  const Endpoint destination = HostPort{"db", 1};
  const KnownVisit visit{HostPort{"203.0.113.9", 40000}, HostPort{"192.0.2.1", 443}};
  const std::string line = "PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n";
};

TEST_F(ProxyHeaderDialerTest, TheHeaderComesFirst) {
  for (const auto& [version, header] :
       {std::pair{ProxyHeaderVersion::v1, line},
        {ProxyHeaderVersion::v2,
         std::string(as_text(encode_v2(proxyproto::Header{
             .addresses = proxyproto::InetAddresses{*IpAddress::parse("203.0.113.9"), 40000,
                                                    *IpAddress::parse("192.0.2.1"), 443}})))}}) {
    ProxyHeaderDialer dialer(inner, version);
    auto dialed = run(context, dialer.dial(destination, visit));
    ASSERT_TRUE(dialed);
    EXPECT_TRUE(run(context, send_all(**dialed, "hello")));
    EXPECT_EQ(run(context, receive_all(*inner.far_end)).bytes, header + "hello");
  }
}

TEST_F(ProxyHeaderDialerTest, WaitsForRoom) {
  inner.options = {.capacity = 5, .write_size = 3};
  ProxyHeaderDialer dialer(inner, ProxyHeaderVersion::v1);
  auto dialing = start(context, dialer.dial(destination, visit));
  context.poll();
  EXPECT_FALSE(dialing.done());
  EXPECT_EQ(run(context, receive_all(*inner.far_end, line.size())).bytes, line);
  EXPECT_TRUE(dialing.wait());
}

TEST_F(ProxyHeaderDialerTest, WhoTakesNoHeaderIsGivenUp) {
  ProxyHeaderDialer dialer(inner, ProxyHeaderVersion::v1, std::chrono::milliseconds(30));
  inner.options = {.capacity = 5};
  const auto late = run(context, dialer.dial(destination, visit));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().reason, Refusal::timed_out);
  EXPECT_EQ(late.error().message, "it takes no PROXY protocol header: timed out");
  EXPECT_EQ(run(context, receive_all(*inner.far_end)).error->code, Errc::reset);
  inner.options = {.fail_at = 1};
  const auto reset = run(context, dialer.dial(destination, visit));
  ASSERT_FALSE(reset);
  EXPECT_EQ(reset.error().reason, Refusal::unreachable);
  EXPECT_EQ(reset.error().message, "it takes no PROXY protocol header: reset by the test");
}

TEST_F(ProxyHeaderDialerTest, ACancelledDialReturns) {
  inner.options = {.capacity = 5};
  ProxyHeaderDialer dialer(inner, ProxyHeaderVersion::v1);
  auto dialing = start(context, dialer.dial(destination, visit));
  context.poll();
  dialing.cancel();
  EXPECT_EQ(dialing.wait().error().reason, Refusal::closed);
}

TEST_F(ProxyHeaderDialerTest, TheRestIsTheInnerDialers) {
  ProxyHeaderDialer dialer(inner, ProxyHeaderVersion::v2);
  const auto refused = run(context, dialer.dial(HostPort{"db", 2}, visit));
  EXPECT_EQ(refused.error().reason, Refusal::connection_refused);
  EXPECT_EQ(refused.error().hint.rule, "a rule");
  EXPECT_EQ(dialer.far_listener(), inner.far_listener());
}

}  // namespace
}  // namespace culvert::relay
