// SPDX-License-Identifier: Apache-2.0
#include "net/socket.hpp"

#include <array>
#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "net/connect.hpp"
#include "net/listener.hpp"
#include "net/unique_fd.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::net {
namespace {

namespace asio = boost::asio;

struct Pair {
  Pair() {
    std::array<int, 2> ends = {};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    a = UniqueFd(ends[0]);
    b = UniqueFd(ends[1]);
  }
  UniqueFd a;
  UniqueFd b;
};

TEST(Socket, TriesWithoutWaitingOnABlockingDescriptor) {
  Pair pair;
  std::array<std::uint8_t, 16> buffer = {};
  const auto nothing = try_read(pair.a.get(), buffer);
  EXPECT_TRUE(nothing.would_block());
  EXPECT_FALSE(nothing.failed());

  const std::array<ByteView, 4> views = {as_bytes("one "), ByteView(), as_bytes("two "), as_bytes("three")};
  EXPECT_EQ(try_write(pair.b.get(), views).bytes, 13U);
  const auto read = try_read(pair.a.get(), buffer);
  EXPECT_EQ(as_text({buffer.data(), read.bytes}), "one two three");
}

TEST(Socket, ReadsIntoSeveralBuffers) {
  Pair pair;
  EXPECT_EQ(try_write(pair.b.get(), as_bytes("abcdef")).bytes, 6U);
  std::array<std::uint8_t, 2> first = {};
  std::array<std::uint8_t, 8> second = {};
  const std::array<MutableBytes, 3> into = {MutableBytes(first), MutableBytes(), MutableBytes(second)};
  EXPECT_EQ(try_read(pair.a.get(), into).bytes, 6U);
  EXPECT_EQ(as_text(first), "ab");
  EXPECT_EQ(as_text({second.data(), 4}), "cdef");
}

TEST(Socket, TakesNoMoreViewsThanOneCallDoes) {
  Pair pair;
  const std::vector<ByteView> views(kMaxViews + 10, as_bytes("x"));
  EXPECT_EQ(try_write(pair.a.get(), views).bytes, kMaxViews);
  const std::vector<ByteView> empty(3);
  const auto none = try_write(pair.a.get(), empty);
  EXPECT_EQ(none.bytes, 0U);
  EXPECT_EQ(none.error, 0);
}

TEST(Socket, TellsEndsAndBrokenPipes) {
  Pair pair;
  pair.b.reset();
  std::array<std::uint8_t, 16> buffer = {};
  const auto end = try_read(pair.a.get(), buffer);
  EXPECT_EQ(end.bytes, 0U);
  EXPECT_EQ(end.error, 0);
  const auto broken = try_write(pair.a.get(), as_bytes("x"));  // without SIGPIPE
  EXPECT_TRUE(broken.failed());
  EXPECT_EQ(io_error("", broken.error).code, Errc::closed);
  EXPECT_EQ(io_error("write", ECONNRESET).code, Errc::reset);
  EXPECT_EQ(io_error("write", ECONNRESET).message, "write: Connection reset by peer");
  EXPECT_EQ(io_error("", ETIMEDOUT).code, Errc::timed_out);
  EXPECT_EQ(io_error("", ENOTCONN).detail, ENOTCONN);
}

TEST(Socket, WaitsAndCanBeCancelled) {
  asio::io_context context;
  Pair pair;
  auto socket = adopt(context.get_executor(), pair.a.release());
  ASSERT_TRUE(socket);
  auto waiting = testing::start(context, wait_readable(*socket));
  for (int i = 0; i < 10; ++i) context.poll_one();
  EXPECT_FALSE(waiting.done());
  EXPECT_EQ(try_write(pair.b.get(), as_bytes("x")).bytes, 1U);
  EXPECT_TRUE(waiting.wait());
  // What was not read counts again.
  EXPECT_TRUE(testing::run(context, wait_readable(*socket)));
  EXPECT_TRUE(testing::run(context, wait_writable(*socket)));

  std::array<std::uint8_t, 1> buffer = {};
  EXPECT_EQ(socket->read(buffer).bytes, 1U);
  EXPECT_TRUE(socket->read(buffer).would_block());
  auto cancelled = testing::start(context, wait_readable(*socket));
  context.poll();
  cancelled.cancel();
  const auto result = cancelled.wait();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::cancelled);

  auto closed = testing::start(context, wait_readable(*socket));
  context.restart();
  context.poll();
  socket->close();
  const auto after_close = closed.wait();
  ASSERT_FALSE(after_close);
  EXPECT_EQ(after_close.error().code, Errc::cancelled);
}

TEST(Socket, SetsOptionsOfAConnection) {
  asio::io_context context;
  auto listener = Listener::listen_tcp(context.get_executor(), {asio::ip::make_address("127.0.0.1"), 0});
  ASSERT_TRUE(listener) << listener.error().message;
  auto accepting = testing::start(context, listener->accept());
  auto client = testing::run(context, connect_tcp({{asio::ip::make_address("127.0.0.1"), listener->port()}}));
  ASSERT_TRUE(client);
  auto server = accepting.wait();
  ASSERT_TRUE(server);

  const auto option = [](int fd, int level, int name) {
    int value = 0;
    socklen_t length = sizeof value;
    EXPECT_EQ(::getsockopt(fd, level, name, &value, &length), 0);
    return value;
  };
  for (const int fd : {client->native_handle(), server->socket.native_handle()}) {
    EXPECT_NE(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    std::array<char, 16> name = {};
    socklen_t length = name.size();
    ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), &length), 0);
    EXPECT_STRNE(name.data(), "bbr");
    EXPECT_TRUE(set_keepalive(fd, true));
    EXPECT_NE(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    EXPECT_TRUE(set_keepalive(fd, std::chrono::milliseconds(7100), 2));
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 8);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 8);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 2);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 24'000);
    EXPECT_TRUE(set_no_delay(fd, false));
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    EXPECT_TRUE(set_quick_ack(fd, true));
    EXPECT_TRUE(set_not_sent_low_water(fd, std::size_t{1} << 20));
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 1 << 20);
    EXPECT_TRUE(set_user_timeout(fd, std::chrono::seconds(3)));
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 3000);
  }
  EXPECT_EQ(peer_text(client->native_handle()), local_text(server->socket.native_handle()));
  EXPECT_EQ(peer_text(server->socket.native_handle()), local_text(client->native_handle()));
  EXPECT_EQ(peer_endpoint(client->native_handle())->port(), listener->port());

  // A reset on close is what the peer sees as one.
  ASSERT_TRUE(set_reset_on_close(server->socket.native_handle()));
  server->socket.close();
  ASSERT_TRUE(testing::run(context, wait_readable(*client)));
  std::array<std::uint8_t, 1> buffer = {};
  EXPECT_EQ(try_read(client->native_handle(), buffer).error, ECONNRESET);
}

TEST(Socket, NamesAddressesForPeople) {
  EXPECT_EQ(to_text({asio::ip::make_address("127.0.0.1"), 80}), "127.0.0.1:80");
  EXPECT_EQ(to_text({asio::ip::make_address("::1"), 8080}), "[::1]:8080");
  Pair pair;
  EXPECT_EQ(peer_text(pair.a.get()), "unix socket");
  EXPECT_EQ(local_path(pair.a.get()), "");
  EXPECT_FALSE(peer_endpoint(pair.a.get()));
  EXPECT_FALSE(set_no_delay(pair.a.get(), true));
  EXPECT_EQ(peer_text(-1), "unknown address");
}

}  // namespace
}  // namespace culvert::net
