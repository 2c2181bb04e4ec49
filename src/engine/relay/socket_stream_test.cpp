// SPDX-License-Identifier: Apache-2.0
// Real sockets: a client and a server talk through two SocketStreams and a pump.
#include "engine/relay/socket_stream.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <malloc.h>
#include <sys/socket.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <gtest/gtest.h>

#include "engine/relay/pump.hpp"
#include "net/connect.hpp"
#include "net/listener.hpp"
#include "net/pipe_pool.hpp"
#include "net/unique_fd.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CULVERT_TEST_SANITIZED 1
#endif
#endif

namespace culvert::relay {
namespace {

namespace asio = boost::asio;
using testing::pattern;
using testing::receive_all;
using testing::run;
using testing::send_all;
using testing::start;

enum class Kind { tcp, unix_socket };

struct Ends {
  std::unique_ptr<SocketStream> outer, inner;
};

/// Two joined streams over a real connection.
Ends connect_pair(asio::io_context& context, Kind kind) {
  const auto stream = [](net::StreamSocket socket) {
    return std::make_unique<SocketStream>(std::move(socket));
  };
  if (kind == Kind::unix_socket) {
    std::array<int, 2> fds = {};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
    return {stream(*net::adopt(context.get_executor(), fds[0])),
            stream(*net::adopt(context.get_executor(), fds[1]))};
  }
  auto listener = net::Listener::listen_tcp(context.get_executor(), {asio::ip::make_address("127.0.0.1"), 0});
  EXPECT_TRUE(listener);
  auto connected = run(context, net::connect_tcp({{asio::ip::make_address("127.0.0.1"), listener->port()}}));
  auto accepted = run(context, listener->accept());
  EXPECT_TRUE(connected && accepted);
  return {stream(std::move(*connected)), stream(std::move(accepted->socket))};
}

class SocketPairing : public ::testing::TestWithParam<std::tuple<Kind, Kind>> {
 protected:
  SocketPairing() {
    auto left = connect_pair(context, std::get<0>(GetParam()));
    auto right = connect_pair(context, std::get<1>(GetParam()));
    client = std::move(left.outer);
    a = std::move(left.inner);
    b = std::move(right.inner);
    server = std::move(right.outer);
    pump = std::make_unique<Pump>(*a, *b);
  }
  [[nodiscard]] bool all_tcp() const { return GetParam() == std::tuple(Kind::tcp, Kind::tcp); }

  asio::io_context context;
  std::unique_ptr<SocketStream> client, a, b, server;
  std::unique_ptr<Pump> pump;
};

INSTANTIATE_TEST_SUITE_P(Kinds, SocketPairing,
                         ::testing::Combine(::testing::Values(Kind::tcp, Kind::unix_socket),
                                            ::testing::Values(Kind::tcp, Kind::unix_socket)),
                         [](const auto& info) {
                           const auto name = [](Kind kind) { return kind == Kind::tcp ? "tcp" : "unix"; };
                           return std::string(name(std::get<0>(info.param))) + "_" +
                                  name(std::get<1>(info.param));
                         });

TEST_P(SocketPairing, KeepsHalfClose) {
  for (const bool from_client : {true, false}) {
    SCOPED_TRACE(from_client);
    if (!from_client) {  // a second pair of connections
      auto left = connect_pair(context, std::get<0>(GetParam()));
      auto right = connect_pair(context, std::get<1>(GetParam()));
      client = std::move(left.outer);
      server = std::move(right.outer);
      pump.reset();
      a = std::move(left.inner);
      b = std::move(right.inner);
      pump = std::make_unique<Pump>(*a, *b);
    }
    auto& asking = from_client ? *client : *server;
    auto& answering = from_client ? *server : *client;
    const std::string question = pattern(100'000, 1);
    auto pumping = start(context, pump->run());
    auto sending = start(context, send_all(asking, question));
    const auto heard = run(context, receive_all(answering));
    EXPECT_FALSE(heard.error);
    EXPECT_TRUE(heard.bytes == question);
    EXPECT_TRUE(sending.wait());
    EXPECT_FALSE(pumping.done());
    auto replying = start(context, send_all(answering, "the reply"));
    const auto answer = run(context, receive_all(asking));
    EXPECT_FALSE(answer.error);
    EXPECT_EQ(answer.bytes, "the reply");
    EXPECT_FALSE(pumping.wait().error);
    EXPECT_FALSE(a->kernel_socket());
  }
}

TEST_P(SocketPairing, PassesAResetOnAsAReset) {
  auto pumping = start(context, pump->run());
  ASSERT_TRUE(run(context, send_all(*client, "half", false)));
  EXPECT_EQ(run(context, receive_all(*server, 4)).bytes, "half");
  client->abort();
  const auto rest = run(context, receive_all(*server));
  if (!all_tcp()) {  // a Unix socket has no reset; that it ended is enough
    pump->stop();
    (void)pumping.wait();
    return;
  }
  const auto summary = pumping.wait();
  ASSERT_TRUE(rest.error);
  EXPECT_EQ(rest.error->code, Errc::reset);
  ASSERT_TRUE(summary.error);
  EXPECT_EQ(summary.error->code, Errc::reset);
}

Task<testing::Received> receive_with_stalls(Stream& from) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  testing::Received all;
  for (std::size_t next_stall = 0;;) {
    auto lent = co_await from.read();
    if (!lent) {
      all.error = std::move(lent).error();
      co_return all;
    }
    if (lent->empty()) co_return all;
    // Takes a part at a time, so that a kept rest is lent again.
    const ByteView view = lent->front().first(std::min<std::size_t>(lent->front().size(), 50'000));
    all.bytes += as_text(view);
    from.consume(view.size());
    from.keep();
    if (all.bytes.size() < next_stall) continue;
    next_stall += std::size_t{4} << 20;
    timer.expires_after(std::chrono::milliseconds(5));
    co_await timer.async_wait(asio::use_awaitable);
  }
}

TEST_P(SocketPairing, CarriesMuchThroughStalls) {
#ifdef CULVERT_TEST_SANITIZED
  const std::string out = pattern(std::size_t{8} << 20, 2);
#else
  const std::string out = pattern(std::size_t{64} << 20, 2);
#endif
  const std::string in = pattern(std::size_t{4} << 20, 3);
  auto pumping = start(context, pump->run());
  auto send_out = start(context, send_all(*client, out));
  auto send_in = start(context, send_all(*server, in));
  auto receive_in = start(context, receive_with_stalls(*client));
  const auto received_out = run(context, receive_with_stalls(*server));
  const auto received_in = receive_in.wait();
  EXPECT_FALSE(received_out.error);
  EXPECT_FALSE(received_in.error);
  EXPECT_TRUE(received_out.bytes == out);
  EXPECT_TRUE(received_in.bytes == in);
  const auto summary = pumping.wait();
  EXPECT_FALSE(summary.error) << summary.error->message;
  EXPECT_EQ(summary.a_to_b, out.size());
  EXPECT_EQ(summary.b_to_a, in.size());
}

// In bulk the bytes pass through a pipe: what is in it does not reach an end that was reset, and is not taken
// for the next stream's.
TEST_P(SocketPairing, PassesAResetOnInTheMiddleOfBulk) {
  if (!all_tcp()) GTEST_SKIP() << "a Unix socket has no reset";
  ::signal(SIGPIPE, SIG_IGN);  // as the program does: splice() has no flag against it
  for (const bool by_sender : {true, false}) {
    SCOPED_TRACE(by_sender);
    auto left = connect_pair(context, Kind::tcp);
    auto right = connect_pair(context, Kind::tcp);
    Pump bulk(*left.inner, *right.inner);
    const std::string much = pattern(std::size_t{32} << 20, 6);
    auto pumping = start(context, bulk.run());
    auto sending = start(context, send_all(*left.outer, much));
    const auto some = run(context, receive_all(*right.outer, std::size_t{4} << 20));
    EXPECT_TRUE(std::string_view(much).starts_with(some.bytes));
    (by_sender ? left.outer : right.outer)->abort();
    if (by_sender) {
      const auto rest = run(context, receive_all(*right.outer));
      ASSERT_TRUE(rest.error);
      EXPECT_EQ(rest.error->code, Errc::reset);
    }
    EXPECT_EQ(pumping.wait().error->code, Errc::reset);
    const auto sent = sending.wait();
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, by_sender ? Errc::cancelled : Errc::reset);
  }
  // The next stream begins with its own bytes.
  auto pumping = start(context, pump->run());
  const std::string own = pattern(std::size_t{2} << 20, 7);
  auto sending = start(context, send_all(*client, own));
  EXPECT_TRUE(run(context, receive_all(*server)).bytes == own);
  server->end();
  EXPECT_FALSE(pumping.wait().error);
}

// Nobody reads from the one that is reset: what it has sent waits for the other.
TEST_P(SocketPairing, PassesAResetOnWhileTheOtherSideStalls) {
  if (!all_tcp()) GTEST_SKIP() << "a Unix socket has no reset";
  for (const bool by_client : {true, false}) {
    SCOPED_TRACE(by_client);
    auto left = connect_pair(context, Kind::tcp);
    auto right = connect_pair(context, Kind::tcp);
    Pump stalled(*left.inner, *right.inner);
    SocketStream& sender = by_client ? *left.outer : *right.outer;
    SocketStream& reader = by_client ? *right.outer : *left.outer;
    auto pumping = start(context, stalled.run());
    const std::string much = pattern(std::size_t{64} << 20, 5);
    auto sending = start(context, send_all(sender, much));
    context.restart();
    context.run_for(std::chrono::milliseconds(300));
    EXPECT_FALSE(pumping.done());
    sender.abort();
    const auto summary = pumping.wait();
    ASSERT_TRUE(summary.error);
    EXPECT_EQ(summary.error->code, Errc::reset);
    EXPECT_FALSE(sending.wait());
    const auto rest = run(context, receive_all(reader));
    ASSERT_TRUE(rest.error);
    EXPECT_EQ(rest.error->code, Errc::reset);
  }
}

// A client that has sent all it had, and closes without reading the answer, resets: what it sent still
// arrives.
TEST_P(SocketPairing, AResetBehindAnEndCutsNothingOff) {
  if (!all_tcp()) GTEST_SKIP() << "a Unix socket has no reset";
  auto pumping = start(context, pump->run());
  const std::string much = pattern(std::size_t{6} << 20, 4);
  ASSERT_TRUE(run(context, send_all(*server, "the answer that nobody reads", false)));
  auto sending = start(context, send_all(*client, much));  // and the end
  context.restart();
  context.run_for(std::chrono::milliseconds(200));
  if (!sending.done()) GTEST_SKIP() << "the system's buffers are too small for it";
  client->abort();
  context.restart();
  context.run_for(std::chrono::milliseconds(50));
  const auto heard = run(context, receive_all(*server));
  EXPECT_FALSE(heard.error);
  EXPECT_TRUE(heard.bytes == much);
  server->end();
  (void)pumping.wait();
}

// The byte itself is lost, or is one like others if a second one comes before it was passed: a relay of
// streams has no place for it (RFC 6093 says not to use it).
TEST_P(SocketPairing, UrgentBytesHoldNothingUp) {
  if (std::get<0>(GetParam()) != Kind::tcp) GTEST_SKIP() << "TCP alone has them";
  const int socket = client->kernel_socket()->socket().native_handle();
  auto pumping = start(context, pump->run());
  auto receiving = start(context, receive_all(*server));
  const std::string little = "little", much = pattern(std::size_t{8} << 20, 3);
  const std::vector<std::string> parts = {little, little, much, much, little};
  for (const std::string& part : parts) {
    ASSERT_TRUE(run(context, send_all(*client, part, false)));
    ASSERT_EQ(::send(socket, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    ASSERT_TRUE(run(context, send_all(*client, "behind it", false)));
    context.restart();
    context.run_for(std::chrono::milliseconds(30));
  }
  client->end();
  const auto heard = receiving.wait();
  EXPECT_FALSE(heard.error);
  std::string_view rest = heard.bytes;
  for (const std::string& part : parts) {
    ASSERT_TRUE(rest.starts_with(part));
    rest.remove_prefix(part.size());
    if (rest.starts_with('!')) rest.remove_prefix(1);
    ASSERT_TRUE(rest.starts_with("behind it"));
    rest.remove_prefix(std::string_view("behind it").size());
  }
  EXPECT_TRUE(rest.empty());
  server->end();
  (void)pumping.wait();
}

// The destination of bulk is the source of the other direction, which may hold bytes at the time.
TEST_P(SocketPairing, BulkGoesOnWhileTheOtherDirectionStalls) {
  const int small = 16 * 1024;
  ASSERT_EQ(
      ::setsockopt(b->kernel_socket()->socket().native_handle(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small),
      0);
  auto pumping = start(context, pump->run());
  const std::string in = pattern(std::size_t{8} << 20, 8), out = pattern(std::size_t{8} << 20, 9);
  auto sending_in = start(context, send_all(*server, in));
  auto first = run(context, receive_all(*client, std::size_t{4} << 20));
  auto sending_out = start(context, send_all(*client, out));
  context.restart();
  context.run_for(std::chrono::milliseconds(50));  // nobody reads it, so it stalls
  const auto rest = run(context, receive_all(*client));
  EXPECT_FALSE(rest.error);
  EXPECT_TRUE(first.bytes + rest.bytes == in);
  EXPECT_TRUE(run(context, receive_all(*server)).bytes == out);
  EXPECT_TRUE(sending_in.wait());
  EXPECT_TRUE(sending_out.wait());
  EXPECT_FALSE(pumping.wait().error);
}

TEST_P(SocketPairing, KeepsNoPipeWhileItIsSilent) {
  auto pumping = start(context, pump->run());
  const std::string much = pattern(std::size_t{8} << 20, 8);
  auto sending = start(context, send_all(*client, much, false));
  EXPECT_TRUE(run(context, receive_all(*server, much.size())).bytes == much);
  EXPECT_TRUE(sending.wait());
  context.restart();
  context.poll();
  std::vector<net::Pipe> pipes;
  while (auto pipe = net::Pipe::take()) pipes.push_back(std::move(*pipe));
  EXPECT_EQ(pipes.size(), net::kMostPipes);
  pump->stop();
  (void)pumping.wait();
}

TEST_P(SocketPairing, StopsFromOutside) {
  auto pumping = start(context, pump->run());
  const std::string much = pattern(std::size_t{32} << 20, 4);
  auto sending = start(context, send_all(*client, much));  // the server reads nothing: stalled all the way
  context.restart();
  context.poll();
  pump->stop();
  EXPECT_EQ(pumping.wait().error->code, Errc::cancelled);
  EXPECT_FALSE(sending.wait());
}

TEST(SocketStream, CloseCutsNothingOff) {
  asio::io_context context;
  auto ends = connect_pair(context, Kind::tcp);
  // There is something unread when it is closed, and more comes: a plain close() would reset, and drop what
  // waits.
  ASSERT_TRUE(run(context, send_all(*ends.outer, "unread", false)));
  const std::string last_words = pattern(std::size_t{1} << 20, 5);
  std::string_view rest = last_words;
  while (!rest.empty()) {
    const ByteView view = as_bytes(rest);
    const auto taken = ends.inner->write({&view, 1});
    ASSERT_TRUE(taken);
    if (*taken == 0) break;
    rest.remove_prefix(*taken);
  }
  const auto sent = last_words.size() - rest.size();
  auto reading = start(context, ends.inner->read());
  ends.inner->close();
  EXPECT_TRUE(!reading.done() || reading.wait());
  ends.inner->close();
  ASSERT_TRUE(run(context, send_all(*ends.outer, "and more", false)));
  const auto heard = run(context, receive_all(*ends.outer));
  EXPECT_FALSE(heard.error);
  EXPECT_TRUE(heard.bytes == last_words.substr(0, sent));
}

TEST(SocketStream, EndsReadsAndWaitsWhenClosed) {
  for (const bool by_abort : {true, false}) {
    asio::io_context context;
    auto ends = connect_pair(context, Kind::tcp);
    auto reading = start(context, ends.inner->read());
    context.poll();
    by_abort ? ends.inner->abort() : ends.inner->close();
    const auto read = reading.wait();
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::cancelled);
    EXPECT_EQ(run(context, ends.inner->read()).error().code, Errc::cancelled);
    EXPECT_EQ(run(context, ends.inner->writable()).error().code, Errc::cancelled);
    const ByteView view = as_bytes("x");
    EXPECT_EQ(ends.inner->write({&view, 1}).error().code, Errc::closed);
    const auto heard = run(context, receive_all(*ends.outer));
    EXPECT_EQ(heard.error.has_value(), by_abort);
  }
}

TEST(SocketStream, AnUnfinishedOneIsResetWhenDestroyed) {
  asio::io_context context;
  auto unfinished = connect_pair(context, Kind::tcp);
  unfinished.inner.reset();
  EXPECT_EQ(run(context, receive_all(*unfinished.outer)).error->code, Errc::reset);

  auto finished = connect_pair(context, Kind::tcp);
  ASSERT_TRUE(run(context, send_all(*finished.inner, "all")));
  finished.outer->end();
  EXPECT_FALSE(run(context, receive_all(*finished.inner)).error);
  finished.inner.reset();
  const auto heard = run(context, receive_all(*finished.outer));
  EXPECT_FALSE(heard.error);
  EXPECT_EQ(heard.bytes, "all");
}

TEST(SocketStream, SeesAnEndThatCameWithTheData) {
  // A short read does not mean that the socket is drained: the end may be there, and no further event comes
  // for it.
  asio::io_context context;
  auto ends = connect_pair(context, Kind::tcp);
  ASSERT_TRUE(run(context, send_all(*ends.outer, "x")));
  const auto heard = run(context, receive_all(*ends.inner));
  EXPECT_FALSE(heard.error);
  EXPECT_EQ(heard.bytes, "x");
}

TEST(SocketStream, LendsAKeptRestFirst) {
  asio::io_context context;
  auto ends = connect_pair(context, Kind::tcp);
  auto other = connect_pair(context, Kind::tcp);
  ASSERT_TRUE(run(context, send_all(*ends.outer, "abcdef", false)));
  ASSERT_TRUE(run(context, send_all(*other.outer, "------------", false)));
  auto lent = run(context, ends.inner->read());
  ASSERT_TRUE(lent);
  ends.inner->consume(2);
  ends.inner->keep();
  (void)run(context, other.inner->read());  // into the same scratch buffer
  other.inner->consume(12);
  auto again = run(context, ends.inner->read());
  EXPECT_EQ(as_text(again->front()), "cdef");
  ends.inner->consume(1);
  ends.inner->keep();
  again = run(context, ends.inner->read());
  EXPECT_EQ(as_text(again->front()), "def");
  ends.inner->consume(3);
  ASSERT_TRUE(run(context, send_all(*ends.outer, "ghi")));
  EXPECT_EQ(run(context, receive_all(*ends.inner)).bytes, "ghi");
}

TEST(SocketStream, IsSmallWhileIdle) {
  EXPECT_LE(sizeof(SocketStream), 256U);
#ifndef CULVERT_TEST_SANITIZED
  asio::io_context context;
  std::vector<Ends> streams;
  for (int i = 0; i < 10; ++i)
    streams.push_back(connect_pair(context, Kind::unix_socket));  // warms Asio's pools up
  std::vector<testing::Running<Result<std::span<const ByteView>>>> reads;
  constexpr std::size_t kStreams = 200;
  streams.reserve(10 + kStreams);
  const auto before = ::mallinfo2().uordblks;
  for (std::size_t i = 0; i < kStreams / 2; ++i) streams.push_back(connect_pair(context, Kind::unix_socket));
  context.restart();
  context.poll();
  const auto each = (::mallinfo2().uordblks - before) / kStreams;
  RecordProperty("bytes_per_idle_stream", static_cast<int>(each));
  EXPECT_LE(each, 1024U);
#endif
}

}  // namespace
}  // namespace culvert::relay
