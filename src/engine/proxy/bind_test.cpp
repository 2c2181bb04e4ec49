// SPDX-License-Identifier: Apache-2.0
// SOCKS BIND from the client's first byte to the stream: a front under a forward, and a far end in memory.
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <gtest/gtest.h>

#include "base/log.hpp"
#include "engine/proxy/front.hpp"
#include "engine/relay/forward.hpp"
#include "engine/relay/listener_source.hpp"
#include "engine/relay/socket_stream.hpp"
#include "net/as_tuple.hpp"
#include "net/connect.hpp"
#include "net/listener.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"
#include "tests/support/value_of.hpp"

namespace culvert::proxy {
namespace {

namespace asio = boost::asio;
using namespace std::string_literals;
using asio::ip::tcp;
using relay::HostPort;
using relay::SocketStream;
using testing::receive_all;
using testing::run;
using testing::send_all;
using testing::start;
using testing::value_of;

constexpr auto kLoopback = "127.0.0.1";

std::vector<net::Listener> listen(asio::io_context& context) {
  std::vector<net::Listener> listeners;
  listeners.push_back(
      value_of(net::Listener::listen_tcp(context.get_executor(), {asio::ip::make_address(kLoopback), 0})));
  return listeners;
}

/// A listener on loopback, as if it were far away.
class Bound final : public relay::BoundSource {
 public:
  explicit Bound(std::vector<net::Listener> listeners)
      : inner_(std::move(listeners)), bound_(HostPort{kLoopback, inner_.port()}) {}
  const relay::Endpoint& bound() const override { return bound_; }
  std::string name() const override { return inner_.name(); }
  void stop() override { inner_.stop(); }
  relay::Task<Result<std::unique_ptr<relay::Pending>>> next() override {
    // A source need not obey cancellation: stop() is what ends it.
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_return co_await inner_.next();
  }

 private:
  relay::ListenerSource inner_;
  const relay::Endpoint bound_;
};

class FarDialer final : public relay::Dialer, private relay::FarListener {
 public:
  explicit FarDialer(asio::io_context& context) : context_(context) {}
  relay::Task<relay::Dialed> dial(const relay::Endpoint&, const relay::Visit&) override {
    co_return std::unexpected(relay::DialError{relay::Refusal::unreachable, "nothing is there"});
  }
  FarListener* far_listener() override { return can_listen ? this : nullptr; }
  bool can_listen = true;

 private:
  relay::Task<std::expected<std::unique_ptr<relay::BoundSource>, relay::DialError>> listen(
      const relay::Endpoint&) override {
    co_return std::make_unique<Bound>(proxy::listen(context_));
  }
  asio::io_context& context_;
};

class BindTest : public ::testing::Test {
 protected:
  BindTest() { EXPECT_TRUE(set_up_log(LogLevel::error, "")); }
  ~BindTest() override { (void)set_up_log(LogLevel::notice, ""); }

  SocketStream connect(std::uint16_t to) {
    return SocketStream(
        value_of(run(context, net::connect_tcp({tcp::endpoint(asio::ip::make_address(kLoopback), to)}))));
  }
  /// The port of the first reply.
  std::uint16_t ask(SocketStream& client, const std::string& from = "\x7F\x00\x00\x01"s) {
    EXPECT_TRUE(run(context, send_all(client, "\x05\x01\x00\x05\x02\x00\x01"s + from + "\x00\x00"s, false)));
    const auto reply = run(context, receive_all(client, 12)).bytes;
    EXPECT_EQ(reply.substr(0, 10), "\x05\x00\x05\x00\x00\x01\x7F\x00\x00\x01"s);
    return static_cast<std::uint16_t>(static_cast<std::uint8_t>(reply.at(10)) << 8 |
                                      static_cast<std::uint8_t>(reply.at(11)));
  }

  asio::io_context context;
  FarDialer dialer{context};
  std::vector<net::Listener> listeners = listen(context);
  const std::uint16_t port = listeners.front().port();
  relay::Forward forward{
      std::make_unique<Front>(std::make_unique<relay::ListenerSource>(std::move(listeners)), FrontOptions{}),
      dialer, relay::ForwardOptions{}};
  testing::Running<Result<void>> running = start(context, forward.run());
};

TEST_F(BindTest, WhoComesIsJoined) {
  auto client = connect(port);
  const auto bound = ask(client);
  auto peer = connect(bound);
  ASSERT_TRUE(run(context, send_all(peer, "from the peer", false)));
  const auto second = run(context, receive_all(client, 10 + 13)).bytes;
  EXPECT_EQ(second.substr(0, 8), "\x05\x00\x00\x01\x7F\x00\x00\x01"s);
  EXPECT_EQ(second.substr(10), "from the peer");
  ASSERT_TRUE(run(context, send_all(client, "to the peer")));
  EXPECT_EQ(run(context, receive_all(peer)).bytes, "to the peer");
  EXPECT_FALSE(run(context, net::connect_tcp({tcp::endpoint(asio::ip::make_address(kLoopback), bound)})));
  EXPECT_EQ(forward.counters().accepted, 1U);
  peer.end();
  EXPECT_FALSE(run(context, receive_all(client)).error);
}

TEST_F(BindTest, SomebodyElseIsTurnedAway) {
  auto client = connect(port);
  const auto bound = ask(client, "\xC0\x00\x02\x01"s);
  auto stranger = connect(bound);
  EXPECT_EQ(run(context, receive_all(stranger)).error->code, Errc::reset);
  EXPECT_EQ(forward.counters().dialing, 1U);
}

TEST_F(BindTest, AClientThatLeavesTakesItsListenerAlong) {
  auto client = connect(port);
  const auto bound = ask(client);
  client.close();
  testing::run_until(context, [&] { return forward.counters().dialing == 0; });
  EXPECT_FALSE(run(context, net::connect_tcp({tcp::endpoint(asio::ip::make_address(kLoopback), bound)})));
}

TEST_F(BindTest, AnEndOfTheForwardEndsTheWait) {
  auto client = connect(port);
  (void)ask(client);
  forward.stop();
  EXPECT_TRUE(running.wait());
  EXPECT_EQ(run(context, forward.drain(Duration::zero())), 1U);
  EXPECT_EQ(run(context, receive_all(client)).error->code, Errc::reset);
}

TEST_F(BindTest, IsUnsupportedWhereNothingCanListen) {
  dialer.can_listen = false;
  auto client = connect(port);
  ASSERT_TRUE(run(context, send_all(client, "\x05\x01\x00\x05\x02\x00\x01\0\0\0\0\0\0"s, false)));
  const auto reply = run(context, receive_all(client));
  EXPECT_EQ(reply.bytes, "\x05\x00\x05\x07\x00\x01\0\0\0\0\0\0"s);
  EXPECT_FALSE(reply.error);
}

}  // namespace
}  // namespace culvert::proxy
