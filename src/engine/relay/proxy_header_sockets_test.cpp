// SPDX-License-Identifier: Apache-2.0
// Two forwards in a row, over real sockets: the second one takes the visit from the first one's header, and
// tells the target of it.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "base/log.hpp"
#include "engine/relay/direct_dialer.hpp"
#include "engine/relay/forward.hpp"
#include "engine/relay/listener_source.hpp"
#include "engine/relay/proxy_header_dialer.hpp"
#include "engine/relay/proxy_header_source.hpp"
#include "engine/relay/sni_source.hpp"
#include "engine/relay/socket_stream.hpp"
#include "net/connect.hpp"
#include "tests/support/client_hellos.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"

namespace culvert::relay {
namespace {

namespace asio = boost::asio;
using testing::pattern;
using testing::receive_all;
using testing::run;
using testing::send_all;
using testing::start;

class ProxyHeaderSockets : public ::testing::Test {
 protected:
  ProxyHeaderSockets() { EXPECT_TRUE(set_up_log(LogLevel::error, "")); }
  ~ProxyHeaderSockets() override { (void)set_up_log(LogLevel::notice, ""); }

  std::unique_ptr<ListenerSource> listen() {
    std::vector<net::Listener> listeners;
    listeners.push_back(
        *net::Listener::listen_tcp(context.get_executor(), {asio::ip::make_address("127.0.0.1"), 0}));
    return std::make_unique<ListenerSource>(std::move(listeners));
  }
  std::unique_ptr<SocketStream> connect(std::uint16_t port) {
    auto socket = run(context, net::connect_tcp({{asio::ip::make_address("127.0.0.1"), port}}));
    EXPECT_TRUE(socket);
    address = net::local_endpoint(socket->native_handle());
    return std::make_unique<SocketStream>(std::move(*socket));
  }
  std::unique_ptr<Stream> arrived(Source& target) { return (*run(context, target.next()))->accept(); }

  asio::io_context context;
  net::Resolver resolver;
  DirectDialer direct{resolver};
  std::optional<asio::ip::tcp::endpoint> address;  ///< of the last client
};

TEST_F(ProxyHeaderSockets, AVisitIsToldOnAndOn) {
  auto target = listen(), second_listener = listen(), first_listener = listen();
  const auto ports = std::pair(first_listener->port(), second_listener->port());
  ProxyHeaderDialer v1(direct, ProxyHeaderVersion::v1), v2(direct, ProxyHeaderVersion::v2);
  Forward first(std::move(first_listener), v2, {.destination = HostPort{"127.0.0.1", ports.second}});
  Forward second(
      std::make_unique<ProxyHeaderSource>(
          std::move(second_listener), ProxyHeaderSourceOptions{.trusted = {*IpNetwork::parse("127.0.0.1")}}),
      v1, {.destination = HostPort{"127.0.0.1", target->port()}});
  auto running = std::pair(start(context, first.run()), start(context, second.run()));

  const std::string bytes = pattern(300'000, 1);
  auto client = connect(ports.first);
  auto sending = start(context, send_all(*client, bytes));
  auto stream = arrived(*target);
  EXPECT_EQ(run(context, receive_all(*stream)).bytes, "PROXY TCP4 127.0.0.1 127.0.0.1 " +
                                                          std::to_string(address->port()) + " " +
                                                          std::to_string(ports.first) + "\r\n" + bytes);
  EXPECT_TRUE(run(context, send_all(*stream, "answer")));
  EXPECT_EQ(run(context, receive_all(*client)).bytes, "answer");

  first.stop();
  second.stop();
  running.first.wait();
  running.second.wait();
  EXPECT_EQ(run(context, first.drain(std::chrono::seconds(10))), 0U);
  EXPECT_EQ(run(context, second.drain(std::chrono::seconds(10))), 0U);
}

TEST_F(ProxyHeaderSockets, ServerNamesInPiecesFindTheirTarget) {
  auto target = listen(), listener = listen();
  const auto port = listener->port();
  SniRoutes routes;
  ASSERT_TRUE(routes.add("*.example.org", {HostPort{"127.0.0.1", target->port()}}));
  Forward forward(std::make_unique<SniSource>(std::move(listener), std::move(routes)), direct, {});
  auto running = start(context, forward.run());

  const std::string hello = testing::kHelloWithName;
  auto client = connect(port);
  ASSERT_TRUE(run(context, send_all(*client, hello.substr(0, 100), false)));
  context.restart();
  context.run_for(std::chrono::milliseconds(20));  // most likely read by then; either way is right
  const std::string bytes = hello.substr(100) + pattern(300'000, 2);
  auto sending = start(context, send_all(*client, bytes));
  auto stream = arrived(*target);
  EXPECT_EQ(run(context, receive_all(*stream)).bytes, hello.substr(0, 100) + bytes);
  EXPECT_TRUE(run(context, send_all(*stream, "answer")));
  EXPECT_EQ(run(context, receive_all(*client)).bytes, "answer");

  auto stranger = connect(port);
  EXPECT_TRUE(run(context, send_all(*stranger, testing::kHelloWithoutName)));
  const auto refused = run(context, receive_all(*stranger));
  EXPECT_EQ(refused.bytes.substr(0, 1), "\x15");
  EXPECT_FALSE(refused.error);
  forward.stop();
  running.wait();
  EXPECT_EQ(run(context, forward.drain(std::chrono::seconds(10))), 0U);
}

}  // namespace
}  // namespace culvert::relay
