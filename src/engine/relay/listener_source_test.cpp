// SPDX-License-Identifier: Apache-2.0
// The whole of it over real sockets: listeners, a forward, direct connections.
#include "engine/relay/listener_source.hpp"

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <gtest/gtest.h>

#include "base/log.hpp"
#include "engine/relay/direct_dialer.hpp"
#include "engine/relay/forward.hpp"
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
using testing::Running;
using testing::send_all;
using testing::start;

asio::ip::tcp::endpoint loopback(std::uint16_t port) { return {asio::ip::make_address("127.0.0.1"), port}; }

net::Listener listen(asio::io_context& context, const char* address = "127.0.0.1", std::uint16_t port = 0) {
  auto listener = net::Listener::listen_tcp(context.get_executor(), {asio::ip::make_address(address), port});
  EXPECT_TRUE(listener) << listener.error().message;
  return std::move(*listener);
}

std::unique_ptr<ListenerSource> listening(net::Listener listener) {
  std::vector<net::Listener> listeners;
  listeners.push_back(std::move(listener));
  return std::make_unique<ListenerSource>(std::move(listeners));
}

/// Answers each connection with what it heard, until its listener closes.
Task<void> echo_one(net::StreamSocket socket) {
  SocketStream stream(std::move(socket));
  const auto heard = co_await receive_all(stream);
  if (heard.error) co_return stream.abort();
  (void)co_await send_all(stream, "echo " + heard.bytes);
}
Task<void> echo(net::Listener& listener) {
  const auto executor = co_await asio::this_coro::executor;
  for (;;) {
    auto socket = co_await listener.accept();
    if (!socket) co_return;
    asio::co_spawn(executor, echo_one(std::move(socket->socket)),
                   [](std::exception_ptr exception) { EXPECT_FALSE(exception); });
  }
}

Task<testing::Received> ask(asio::ip::tcp::endpoint where, std::string what) {
  auto socket = co_await net::connect_tcp({where});
  if (!socket) co_return testing::Received{"", socket.error()};
  SocketStream stream(std::move(*socket));
  // The kernel tells of a reset once: who writes into it learns it there, and reads an end afterwards.
  if (auto sent = co_await send_all(stream, what); !sent) co_return testing::Received{"", sent.error()};
  co_return co_await receive_all(stream);
}

class ForwardSockets : public ::testing::Test {
 protected:
  ForwardSockets() { EXPECT_TRUE(set_up_log(LogLevel::error, "")); }
  ~ForwardSockets() override { (void)set_up_log(LogLevel::notice, ""); }

  asio::io_context context;
  net::Resolver resolver;
  DirectDialer dialer{resolver};
};

TEST_F(ForwardSockets, TakesFromSeveralListenersUnderOneForward) {
  auto target = listen(context);
  auto serving = start(context, echo(target));
  std::vector<net::Listener> listeners;
  listeners.push_back(listen(context));
  const auto port = listeners.front().port();
  listeners.push_back(listen(context, "::1", port));
  auto source = std::make_unique<ListenerSource>(std::move(listeners));
  EXPECT_EQ(source->port(), port);
  EXPECT_EQ(source->name(), "127.0.0.1:" + std::to_string(port));
  EXPECT_EQ(source->names().back(), "[::1]:" + std::to_string(port));
  Forward forward(std::move(source), dialer,
                  {.destination = Endpoint(HostPort{"localhost", target.port()}), .limit = 100});
  auto running = start(context, forward.run());
  for (int i = 0; i < 20; ++i) {
    for (const char* address : {"127.0.0.1", "::1"}) {
      const auto answer = run(context, ask({asio::ip::make_address(address), port}, "hello"));
      EXPECT_FALSE(answer.error);
      EXPECT_EQ(answer.bytes, "echo hello");
    }
  }
  forward.stop();
  EXPECT_TRUE(running.wait());
  EXPECT_EQ(run(context, forward.drain(std::chrono::seconds(10))), 0U);
  EXPECT_EQ(forward.counters().accepted, 40U);
  // The port is free again.
  (void)listen(context, "127.0.0.1", port);
}

TEST_F(ForwardSockets, ARefusedDestinationIsAResetForTheClient) {
  asio::ip::tcp::socket nobody(context, loopback(0));  // bound, not listening
  auto source = listening(listen(context));
  const auto port = source->port();
  Forward forward(
      std::move(source), dialer,
      {.destination = Endpoint(HostPort{"127.0.0.1", nobody.local_endpoint().port()}), .limit = 10});
  auto running = start(context, forward.run());
  const auto answer = run(context, ask(loopback(port), ""));
  ASSERT_TRUE(answer.error);
  EXPECT_EQ(answer.error->code, Errc::reset);
  EXPECT_EQ(forward.counters().failed, 1U);
  forward.stop();
  EXPECT_TRUE(running.wait());
}

TEST_F(ForwardSockets, ASilentTargetHoldsUpNoOtherAndIsGivenUp) {
  testing::SilentTarget silent;
  auto target = listen(context);
  auto serving = start(context, echo(target));

  auto silent_source = listening(listen(context));
  const auto silent_port = silent_source->port();
  Forward to_silent(std::move(silent_source), dialer,
                    {.destination = Endpoint(HostPort{"127.0.0.1", silent.endpoint().port()}), .limit = 10});
  auto running_silent = start(context, to_silent.run());
  auto source = listening(listen(context));
  const auto port = source->port();
  Forward forward(std::move(source), dialer,
                  {.destination = Endpoint(HostPort{"127.0.0.1", target.port()}), .limit = 10});
  auto running = start(context, forward.run());

  auto waiting = start(context, ask(loopback(silent_port), "anybody?"));
  EXPECT_EQ(run(context, ask(loopback(port), "hello")).bytes, "echo hello");
  testing::run_until(context, [&] { return to_silent.counters().dialing == 1; });
  EXPECT_FALSE(waiting.done());
  to_silent.stop();
  EXPECT_EQ(run(context, to_silent.drain(Duration::zero())), 1U);
  EXPECT_EQ(waiting.wait().error->code, Errc::reset);
  EXPECT_TRUE(running_silent.wait());
}

TEST_F(ForwardSockets, GoesBetweenUnixSockets) {
  const std::string folder = ::testing::TempDir() + "culvert-forward-" + std::to_string(::getpid());
  std::filesystem::create_directory(folder);
  {
    auto target = net::Listener::listen_unix(context.get_executor(), folder + "/target");
    ASSERT_TRUE(target);
    auto serving = start(context, echo(*target));
    auto front = net::Listener::listen_unix(context.get_executor(), folder + "/front");
    ASSERT_TRUE(front);
    Forward forward(listening(std::move(*front)), dialer,
                    {.destination = Endpoint(UnixPath{folder + "/target"}), .limit = 10});
    EXPECT_EQ(forward.name(), folder + "/front");
    auto running = start(context, forward.run());
    auto socket = run(context, net::connect_unix(folder + "/front"));
    ASSERT_TRUE(socket);
    SocketStream client(std::move(*socket));
    ASSERT_TRUE(run(context, send_all(client, "hello")));
    EXPECT_EQ(run(context, receive_all(client)).bytes, "echo hello");
    forward.stop();
    EXPECT_TRUE(running.wait());
    EXPECT_FALSE(std::filesystem::exists(folder + "/front"));
  }
  std::filesystem::remove_all(folder);
}

TEST_F(ForwardSockets, AVisitToAUnixSocketHasItsPath) {
  const std::string path = std::filesystem::temp_directory_path() / ("visited-" + std::to_string(::getpid()));
  auto source = listening(std::move(*net::Listener::listen_unix(context.get_executor(), path)));
  auto taking = start(context, source->next());
  const auto client = run(context, net::connect_unix(path));
  ASSERT_TRUE(client);
  const auto pending = taking.wait();
  ASSERT_TRUE(pending);
  EXPECT_EQ((*pending)->origin(), Endpoint(UnixPath{}));
  EXPECT_EQ((*pending)->connected_to(), Endpoint(UnixPath{path}));
}

TEST_F(ForwardSockets, WhatWaitsWhenASourceStopsIsReset) {
  auto source = listening(listen(context));
  auto first = start(context, source->next());
  auto client = run(context, net::connect_tcp({loopback(source->port())}));
  ASSERT_TRUE(client);
  auto pending = first.wait();
  ASSERT_TRUE(pending);
  EXPECT_FALSE((*pending)->destination());
  EXPECT_EQ(to_string((*pending)->origin()), net::local_text(client->native_handle()));
  EXPECT_EQ((*pending)->connected_to(), Endpoint(HostPort{"127.0.0.1", source->port()}));
  auto waits = run(context, net::connect_tcp({loopback(source->port())}));
  ASSERT_TRUE(waits);
  context.restart();
  context.poll();  // accepted, and nobody has asked for it
  source->stop();
  EXPECT_EQ(run(context, source->next()).error().code, Errc::cancelled);
  SocketStream reset(std::move(*waits));
  EXPECT_EQ(run(context, receive_all(reset)).error->code, Errc::reset);
  pending->reset();
  SocketStream also_reset(std::move(*client));
  EXPECT_EQ(run(context, receive_all(also_reset)).error->code, Errc::reset);
}

TEST_F(ForwardSockets, StartsAndStopsAThousandTimesWithTraffic) {
  auto target = listen(context);
  auto serving = start(context, echo(target));
  const auto destination = Endpoint(HostPort{"127.0.0.1", target.port()});
  std::vector<Running<testing::Received>> clients;
  for (int i = 0; i < 1000; ++i) {
    auto source = listening(listen(context));
    const auto port = source->port();
    Forward forward(
        std::move(source), dialer,
        {.destination = destination, .limit = 100, .silence = {.idle = std::chrono::hours(i % 2)}});
    auto running = start(context, forward.run());
    clients.clear();
    for (int c = 0; c < 3; ++c) clients.push_back(start(context, ask(loopback(port), "hello")));
    // Stopped at a different moment each time: while connecting, dialing, carrying, after.
    for (int turn = 0; turn < i % 60; ++turn) {
      context.restart();
      context.poll_one();
    }
    forward.stop();
    ASSERT_TRUE(running.wait());
    const auto patience = i % 3 == 0 ? Duration(std::chrono::seconds(60)) : Duration::zero();
    const auto aborted = run(context, forward.drain(patience));
    if (i % 3 == 0) EXPECT_EQ(aborted, 0U);
    const auto counters = forward.counters();
    ASSERT_EQ(counters.live + counters.dialing, 0U);
    for (auto& client : clients) {
      const auto answer = client.wait();
      if (!answer.error && answer.bytes != "echo hello") ADD_FAILURE() << "cut off: " << answer.bytes;
    }
  }
}

}  // namespace
}  // namespace culvert::relay
