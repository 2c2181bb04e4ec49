// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/tunnel.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tests/support/client_harness.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/ssh_test_server.hpp"

namespace culvert::tunnel {
namespace {

namespace asio = boost::asio;
using testing::run;
using testing::UserKey;
using TunnelTest = testing::ClientHarness;

TEST_F(TunnelTest, ATunnelIsTheSameInstanceInAllOfItsConnections) {
  testing::SshTestServer server(context_, UserKey::instance().public_key());
  TunnelOptions with;
  with.server = options(server.port());
  Tunnel one(context_.get_executor(), with, resolver_, random_, prompter_);
  Tunnel other(context_.get_executor(), with, resolver_, random_, prompter_);
  const auto& told = server.instances();
  ASSERT_TRUE(run(context_, one.start()));
  testing::run_until(context_, [&] { return told.size() == 1; });
  server.disconnect_all();
  testing::run_until(context_, [&] { return told.size() == 2; });
  ASSERT_TRUE(run(context_, other.start()));
  testing::run_until(context_, [&] { return told.size() == 3; });
  EXPECT_EQ(told[0], told[1]);
  EXPECT_NE(told[0], told[2]);

  Client alone(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
  ASSERT_TRUE(connect(alone));
  ASSERT_TRUE(dial(alone, "echo"));
  EXPECT_EQ(told.size(), 3U);
}

TEST_F(TunnelTest, ATunnelTellsOnceWhyItDoesNotComeBack) {
  auto server = std::make_unique<testing::SshTestServer>(context_, UserKey::instance().public_key());
  std::vector<std::string> told;
  TunnelOptions with;
  with.server = options(server->port());
  with.on_change = [&](const std::string& line) { told.push_back(line); };
  Tunnel tunnel(context_.get_executor(), with, resolver_, random_, prompter_);
  ASSERT_TRUE(run(context_, tunnel.start()));
  const auto port = server->port();
  server.reset();
  testing::run_until(context_, [&] { return told.size() == 2; });
  EXPECT_TRUE(told[0].starts_with("connection lost: ")) << told[0];
  EXPECT_EQ(
      told[1],
      fmt::format("still not connected: cannot connect to 127.0.0.1 port {}: Connection refused", port));
  asio::steady_timer pause(context_, std::chrono::milliseconds(1500));
  run(context_, [](asio::steady_timer& timer) -> relay::Task<void> {
    co_await timer.async_wait(asio::use_awaitable);
  }(pause));
  EXPECT_EQ(told.size(), 2U) << told.back();
}

// A connection that ends under a question has not answered it.
TEST_F(TunnelTest, ATunnelAsksTheNextConnection) {
  int asked = 0;
  testing::SshTestServer::Options with_listeners;
  with_listeners.on_listen = [&](connection::SessionDriver& driver) {
    if (++asked == 1) return driver.stop("not now");
    driver.session().reply_listen(true, 40000);
  };
  testing::SshTestServer server(context_, UserKey::instance().public_key(), with_listeners);
  TunnelOptions with;
  with.server = options(server.port());
  Tunnel tunnel(context_.get_executor(), with, resolver_, random_, prompter_);
  ASSERT_TRUE(run(context_, tunnel.start()));
  const relay::Endpoint there = relay::HostPort{"late", 1};
  const relay::KnownVisit visit(relay::HostPort{"127.0.0.1", 4321});
  auto stream = run(context_, tunnel.dial(there, visit));
  ASSERT_TRUE(stream) << stream.error().message;
  EXPECT_EQ(run(context_, conversation(**stream, "ping")), "ping");

  const auto bound = run(context_, tunnel.listen_patiently(relay::HostPort{"", 0}));
  ASSERT_TRUE(bound) << bound.error().message;
  EXPECT_EQ((*bound)->bound(), relay::Endpoint(relay::HostPort{"", 40000}));
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace culvert::tunnel
