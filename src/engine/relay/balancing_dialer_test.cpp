// SPDX-License-Identifier: Apache-2.0
// With targets over real sockets that come and go.
#include "engine/relay/balancing_dialer.hpp"

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>

#include <gtest/gtest.h>

#include "engine/relay/direct_dialer.hpp"
#include "engine/relay/forward.hpp"
#include "engine/relay/health_checks.hpp"
#include "engine/relay/listener_source.hpp"
#include "engine/relay/socket_stream.hpp"
#include "net/connect.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/silent_target.hpp"
#include "tests/support/stream_io.hpp"

namespace culvert::relay {
namespace {

namespace asio = boost::asio;
using testing::receive_all;
using testing::run;
using testing::send_all;
using testing::start;

asio::ip::tcp::endpoint at(const char* address, std::uint16_t port) {
  return {asio::ip::make_address(address), port};
}

/// Says its name to everybody who comes, while it is up.
class Target {
 public:
  Target(asio::io_context& context, std::string name, const char* address = "127.0.0.1")
      : context_(context), name_(std::move(name)), reserved_(context, at(address, 0)), address_(address) {
    port_ = reserved_.local_endpoint().port();
  }
  void come() {
    boost::system::error_code ignored;
    if (reserved_.is_open()) reserved_.close(ignored);
    auto listener = net::Listener::listen_tcp(context_.get_executor(), at(address_, port_));
    ASSERT_TRUE(listener) << listener.error().message;
    listeners_.push_back(std::move(*listener));
    asio::co_spawn(context_, serve(listeners_.back(), name_), asio::detached);
  }
  void go() { listeners_.back().close(); }
  [[nodiscard]] Endpoint endpoint() const { return HostPort{address_, port_}; }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  static Task<void> serve(net::Listener& listener, std::string name) {
    for (;;) {
      auto socket = co_await listener.accept();
      if (!socket) co_return;
      auto stream = std::make_unique<SocketStream>(std::move(socket->socket));
      asio::co_spawn(co_await asio::this_coro::executor, answer(std::move(stream), name), asio::detached);
    }
  }
  static Task<void> answer(std::unique_ptr<Stream> stream, std::string name) {
    const auto heard = co_await receive_all(*stream);
    if (!heard.error) (void)co_await send_all(*stream, name + " heard " + heard.bytes);
  }

  asio::io_context& context_;
  const std::string name_;
  asio::ip::tcp::socket reserved_;  // bound, not listening: nobody else gets the port
  const char* address_;
  std::uint16_t port_ = 0;
  std::deque<net::Listener> listeners_;
};

class BalancingDialerTest : public ::testing::Test {
 protected:
  void make(TargetGroupOptions options = {}, Duration time = Duration::zero()) {
    std::vector<Endpoint> endpoints;
    for (const auto& target : targets) endpoints.push_back(target.endpoint());
    make(std::move(endpoints), options, time);
  }
  void make(std::vector<Endpoint> endpoints, TargetGroupOptions options, Duration time) {
    group = TargetGroup::make(std::move(endpoints), options, [this](const TargetChange& change) {
      changes += (change.is_up ? "+" : "-") + std::to_string(change.up) + " ";
      reason = change.reason;
    });
    dialer = std::make_unique<BalancingDialer>(direct, group, time);
  }
  Dialed dial() { return run(context, dialer->dial(UnixPath{"ignored"}, visit)); }
  std::string ask(Dialed dialed) {
    if (!dialed) return dialed.error().message;
    auto sending = start(context, send_all(**dialed, "me"));
    return run(context, receive_all(**dialed)).bytes;
  }

  asio::io_context context;
  net::Resolver resolver;
  DirectDialer direct{resolver, {.attempt_timeout = std::chrono::milliseconds(100)}};
  const KnownVisit visit{HostPort{"192.0.2.1", 4711}};
  std::deque<Target> targets;
  std::shared_ptr<TargetGroup> group;
  std::unique_ptr<BalancingDialer> dialer;
  std::string changes, reason;
};

TEST_F(BalancingDialerTest, GoesOnToTheNextTargetAtOnce) {
  for (const char* name : {"one", "two", "three"}) targets.emplace_back(context, name);
  targets[2].come();
  make({.failures = 2});
  EXPECT_EQ(ask(dial()), "three heard me");
  EXPECT_EQ(ask(dial()), "three heard me");
  EXPECT_EQ(changes, "-2 -1 ");
  EXPECT_EQ(reason, "connect failed: Connection refused");
}

TEST_F(BalancingDialerTest, TellsWhyNoneWasReached) {
  for (const char* name : {"one", "two"}) targets.emplace_back(context, name);
  make();
  const auto dialed = dial();
  ASSERT_FALSE(dialed);
  EXPECT_EQ(dialed.error().reason, Refusal::connection_refused);
  EXPECT_EQ(dialed.error().message, "2 targets failed, the last, " + to_string(targets[1].endpoint()) +
                                        ": connect failed: Connection refused");
  targets.pop_back();
  make();
  EXPECT_EQ(ask(dial()), "connect failed: Connection refused");
}

TEST_F(BalancingDialerTest, AStreamCountsUntilItEndsAndShowsItsSocket) {
  for (const char* name : {"one", "two"}) targets.emplace_back(context, name).come();
  make({.balance = Balance::least_connections});
  auto first = dial();
  ASSERT_TRUE(first);
  EXPECT_TRUE((*first)->kernel_socket());
  EXPECT_EQ(group->status()[0].streams, 1u);
  EXPECT_EQ(ask(dial()), "two heard me");
  EXPECT_EQ(ask(dial()), "two heard me");
  first->reset();
  EXPECT_EQ(group->status()[0].streams, 0u);
}

TEST_F(BalancingDialerTest, ASilentTargetCostsItsTimeAlone) {
  testing::SilentTarget silent;
  targets.emplace_back(context, "up").come();
  make({HostPort{"127.0.0.1", silent.endpoint().port()}, targets[0].endpoint()}, {}, Duration::zero());
  EXPECT_EQ(ask(dial()), "up heard me");
  // With a time for all of them together, the next one is not tried any more.
  make({HostPort{"127.0.0.1", silent.endpoint().port()}, targets[0].endpoint()}, {},
       std::chrono::milliseconds(50));
  EXPECT_EQ(dial().error().reason, Refusal::timed_out);
}

TEST_F(BalancingDialerTest, WhoeverGivesUpBlamesNobody) {
  testing::SilentTarget silent;
  make({HostPort{"127.0.0.1", silent.endpoint().port()}}, {.failures = 1}, Duration::zero());
  auto dialing = start(context, dialer->dial(UnixPath{}, visit));
  context.restart();
  context.run_for(std::chrono::milliseconds(10));
  EXPECT_EQ(group->status()[0].streams, 1u);
  dialing.cancel();
  EXPECT_EQ(dialing.wait().error().reason, Refusal::closed);
  EXPECT_EQ(group->status()[0].streams, 0u);
  EXPECT_EQ(changes, "");
}

TEST_F(BalancingDialerTest, WhatIsMissingHereIsNoTargetsFault) {
  for (const char* name : {"one", "two"}) targets.emplace_back(context, name).come();
  make({.failures = 1});
  asio::ip::tcp::acceptor reserved(context, at("127.0.0.1", 0));
  DirectDialer from_one_port{resolver,
                             {.bind_addresses = {asio::ip::make_address("127.0.0.1")},
                              .bind_port = reserved.local_endpoint().port()}};
  reserved.close();
  dialer = std::make_unique<BalancingDialer>(from_one_port, group);
  const auto first = dial(), second = dial();
  ASSERT_TRUE(first);
  ASSERT_TRUE(second);
  const auto third = dial();
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().reason, Refusal::no_source) << third.error().message;
  EXPECT_EQ(changes, "");
}

TEST_F(BalancingDialerTest, FollowsANameWhoseAddressChanges) {
  std::atomic<std::uint32_t> address = 0x7F000001;
  constexpr Duration kLifetime = std::chrono::milliseconds(10);
  const auto look_up = [&](const std::string&, net::Family) {
    return Result<std::vector<asio::ip::address>>({asio::ip::address_v4(address)});
  };
  net::Resolver changing(2, 2, look_up, kLifetime);
  DirectDialer by_name(changing);
  targets.emplace_back(context, "old").come();
  auto elsewhere = net::Listener::listen_tcp(context.get_executor(), at("127.0.0.2", targets[0].port()));
  ASSERT_TRUE(elsewhere);
  group = TargetGroup::make({HostPort{"service.example", targets[0].port()}}, {}, nullptr);
  dialer = std::make_unique<BalancingDialer>(by_name, group);
  EXPECT_EQ(ask(dial()), "old heard me");
  address = 0x7F000002;
  std::this_thread::sleep_for(kLifetime);
  const auto moved = dial();
  ASSERT_TRUE(moved);
  EXPECT_TRUE(run(context, elsewhere->accept()));
}

TEST_F(BalancingDialerTest, ChecksTakeATargetOutAndBringItBack) {
  for (const char* name : {"one", "two"}) targets.emplace_back(context, name).come();
  make({.checked = true});
  HealthChecks checks(direct, group, {.interval = std::chrono::milliseconds(10)});
  auto checking = start(context, checks.run());
  context.restart();
  context.run_for(std::chrono::milliseconds(50));
  EXPECT_EQ(changes, "");
  targets[1].go();
  testing::run_until(context, [&] { return changes == "-1 "; });
  EXPECT_EQ(reason, "connect failed: Connection refused");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(dial()), "one heard me");
  targets[1].come();
  testing::run_until(context, [&] { return changes == "-1 +2 "; });
  checks.stop();
  checking.wait();
}

TEST_F(BalancingDialerTest, ChecksMayAskAtAnotherPort) {
  for (const char* name : {"one", "elsewhere"}) targets.emplace_back(context, name);
  make({targets[0].endpoint(), HostPort{"127.0.0.2", 1}}, {.checked = true, .rise = 1, .fall = 1},
       Duration::zero());
  HealthChecks checks(direct, group, {.interval = std::chrono::milliseconds(10), .port = targets[1].port()});
  auto checking = start(context, checks.run());
  testing::run_until(context, [&] { return changes == "-1 -0 "; });
  targets[1].come();
  testing::run_until(context, [&] { return changes == "-1 -0 +1 "; });
  EXPECT_TRUE(group->status()[0].is_up) << "though nobody is at its own port";
  targets[1].go();
  testing::run_until(context, [&] { return changes == "-1 -0 +1 -0 "; });
  checks.stop();
  checking.wait();
}

TEST_F(BalancingDialerTest, ACheckHasItsTimeAndCanBeStopped) {
  testing::SilentTarget silent;
  DirectDialer patient(resolver);
  make({HostPort{"127.0.0.1", silent.endpoint().port()}}, {.checked = true, .fall = 1}, Duration::zero());
  {
    HealthChecks checks(patient, group,
                        {.interval = std::chrono::milliseconds(20), .time = std::chrono::milliseconds(20)});
    auto checking = start(context, checks.run());
    testing::run_until(context, [&] { return changes == "-0 "; });
    EXPECT_EQ(reason, "no answer in time");
    checks.stop();
    checking.wait();
  }
  HealthChecks slow(patient, group,
                    {.interval = std::chrono::milliseconds(1), .time = std::chrono::hours(1)});
  auto checking = start(context, slow.run());
  context.restart();
  context.run_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(checking.done());
  checking.cancel();
  checking.wait();
}

TEST_F(BalancingDialerTest, TargetsComeAndGoUnderLoadAndNobodyIsRefused) {
  for (const char* name : {"one", "two", "three"}) targets.emplace_back(context, name).come();
  make({.failures = 1, .back_off = std::chrono::milliseconds(5), .checked = false});
  std::vector<net::Listener> listeners;
  listeners.push_back(std::move(*net::Listener::listen_tcp(context.get_executor(), at("127.0.0.1", 0))));
  const auto port = listeners.front().port();
  Forward forward(std::make_unique<ListenerSource>(std::move(listeners)), direct,
                  {.destination = targets[0].endpoint(), .targets = group});
  auto running = start(context, forward.run());
  std::string heard;
  for (int i = 0; i < 300; ++i) {
    // One of them is away at any time.
    if (i % 20 == 0) targets[i / 20 % 3].go();
    if (i % 20 == 19) targets[i / 20 % 3].come();
    auto socket = run(context, net::connect_tcp({at("127.0.0.1", port)}));
    ASSERT_TRUE(socket);
    SocketStream client(std::move(*socket));
    auto sending = start(context, send_all(client, "me"));
    const auto answer = run(context, receive_all(client));
    EXPECT_FALSE(answer.error) << i;
    EXPECT_TRUE(answer.bytes.ends_with(" heard me")) << i << answer.bytes;
    heard += answer.bytes.substr(0, 1) + answer.bytes.substr(answer.bytes.find(' ') - 1, 1);
  }
  for (const char* name : {"oe", "to", "te"}) EXPECT_NE(heard.find(name), std::string::npos);
  EXPECT_EQ(forward.counters().failed, 0u);
  EXPECT_TRUE(changes.starts_with("-2 ") && changes.find('+') != std::string::npos) << changes;
  forward.stop();
  EXPECT_TRUE(running.wait());
  EXPECT_EQ(run(context, forward.drain(std::chrono::seconds(10))), 0U);
  for (const auto& status : group->status()) EXPECT_EQ(status.streams, 0u);
}

}  // namespace
}  // namespace culvert::relay
