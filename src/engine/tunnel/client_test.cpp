// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/client.hpp"

#include <array>
#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/log.hpp"
#include "tests/support/client_harness.hpp"
#include "tests/support/impostor_server.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/scripted_prompter.hpp"
#include "tests/support/ssh_test_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace culvert::tunnel {
namespace {

namespace asio = boost::asio;
using ClientTest = testing::ClientHarness;
using testing::receive_all;
using testing::run;
using testing::send_all;
using testing::start;
using testing::test_bytes;
using testing::UserKey;

TEST_F(ClientTest, LogsInAndCarriesAStreamBothWays) {
  testing::SshTestServer server(context_, UserKey::instance().public_key());
  Client client(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
  const auto connected = connect(client);
  ASSERT_TRUE(connected) << connected.error().message;
  auto stream = dial(client, "echo");
  ASSERT_TRUE(stream) << stream.error().message;
  EXPECT_EQ(run(context_, conversation(**stream, "ping")), "ping");
}

TEST_F(ClientTest, NamesTheServerThatShowsAnotherKeyLater) {
  testing::ImpostorServer server(context_);
  Client client(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
  const auto connected = connect(client);
  const Error why = connected ? run(context_, client.closed()) : connected.error();
  EXPECT_EQ(why.code, Errc::verification);
  EXPECT_EQ(why.message,
            fmt::format("127.0.0.1 port {}: the server showed another host key when keys were renewed",
                        server.port()));
}

TEST_F(ClientTest, CarriesBulkUpAndDown) {
  testing::SshTestServer server(context_, UserKey::instance().public_key());
  Client client(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
  ASSERT_TRUE(connect(client));
  auto up = dial(client, "discard");
  auto down = dial(client, "source", 24 * 1024);
  ASSERT_TRUE(up && down);
  auto reading = start(context_, receive_all(**down));
  EXPECT_EQ(run(context_, conversation(**up, test_bytes(20u << 20))), "20971520 right");
  EXPECT_TRUE(reading.wait().bytes == test_bytes(24u << 20));
}

TEST_F(ClientTest, EveryBoundSqueezed) {
  testing::SshTestServer::Options tight;
  tight.session.limits.window_initial = tight.session.limits.window_max = tight.session.limits.window_min =
      4096;
  tight.session.limits.output_max = tight.session.limits.output_min = 4096;
  tight.session.rekey.bytes = 1u << 20;
  testing::SshTestServer server(context_, UserKey::instance().public_key(), tight);
  auto squeezed = options(server.port());
  squeezed.limits = tight.session.limits;
  squeezed.rekey.bytes = 300000;
  Client client(context_.get_executor(), squeezed, resolver_, random_, prompter_);
  ASSERT_TRUE(connect(client));
  std::vector<std::unique_ptr<relay::Stream>> streams;
  for (int i = 0; i < 8; ++i) streams.push_back(*dial(client, i % 2 == 0 ? "discard" : "source", 700));
  std::vector<testing::Running<std::string>> running;
  for (int i = 0; i < 8; ++i) {
    running.push_back(start(context_, conversation(*streams[i], i % 2 == 0 ? test_bytes(600000) : "")));
  }
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(running[i].wait() == (i % 2 == 0 ? "600000 right" : test_bytes(700 * 1024))) << i;
  }
}

TEST_F(ClientTest, SaysWhyADestinationIsRefused) {
  testing::SshTestServer server(context_, UserKey::instance().public_key());
  Client client(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
  ASSERT_TRUE(connect(client));
  const auto refused = dial(client, "refused");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, relay::Refusal::connection_refused);
  EXPECT_EQ(refused.error().message, "open failed: connect failed: Connection refused");
  const auto prohibited = dial(client, "prohibited");
  ASSERT_FALSE(prohibited);
  EXPECT_EQ(prohibited.error().reason, relay::Refusal::prohibited);
  EXPECT_EQ(prohibited.error().message, "open failed: administratively prohibited: open failed");
  const auto unknown = dial(client, "no-name");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().reason, relay::Refusal::unreachable);
}

TEST_F(ClientTest, SilentAndStuckDestinationsHoldUpNobody) {
  testing::SshTestServer server(context_, UserKey::instance().public_key());
  Client client(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
  ASSERT_TRUE(connect(client));
  auto silent = start(context_, dial_named(client, "silent", 1));
  auto stuck = dial(client, "stuck");
  auto stalled = dial(client, "source", 8 * 1024);  // whose data nobody here reads
  ASSERT_TRUE(stuck && stalled);
  auto writing = start(context_, conversation(**stuck, test_bytes(80u << 20)));
  std::vector<std::unique_ptr<relay::Stream>> streams;
  std::vector<testing::Running<std::string>> running;
  for (int i = 0; i < 98; ++i) {
    auto stream = dial(client, "echo");
    ASSERT_TRUE(stream);
    streams.push_back(std::move(*stream));
  }
  for (auto& stream : streams) running.push_back(start(context_, conversation(*stream, test_bytes(3000))));
  for (auto& one : running) EXPECT_TRUE(one.wait() == test_bytes(3000));
  EXPECT_FALSE(silent.done());
  EXPECT_FALSE(writing.done());

  client.disconnect();
  const auto never = silent.wait();
  ASSERT_FALSE(never);
  EXPECT_EQ(never.error().reason, relay::Refusal::closed);
  EXPECT_EQ(writing.wait(), "write: the channel was closed by the other end");
  EXPECT_EQ(run(context_, client.closed()).code, Errc::cancelled);
}

TEST_F(ClientTest, PassesOnACloseWithoutAnEndAsAReset) {
  testing::SshTestServer server(context_, UserKey::instance().public_key());
  Client client(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
  ASSERT_TRUE(connect(client));
  auto stream = dial(client, "hang-up");
  ASSERT_TRUE(stream);
  const auto received = run(context_, receive_all(**stream));
  ASSERT_TRUE(received.error);
  EXPECT_EQ(received.error->code, Errc::reset);
  EXPECT_EQ(received.bytes, "last words");
  const ByteView more = as_bytes("x");
  EXPECT_EQ((*stream)->write({&more, 1}).error().code, Errc::reset);
}

// As servers made with Go's library end their streams (RFC 4254 section 5.3 lets them).
TEST_F(ClientTest, ACloseAloneIsAnEndUnlessItIsOfACulvert) {
  testing::SshTestServer::Options other;
  other.session.software = "other_1.0";
  testing::SshTestServer server(context_, UserKey::instance().public_key(), other);
  Client client(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
  ASSERT_TRUE(connect(client));
  auto stream = dial(client, "hang-up");
  ASSERT_TRUE(stream);
  const auto received = run(context_, receive_all(**stream));
  EXPECT_FALSE(received.error) << received.error->message;
  EXPECT_EQ(received.bytes, "last words");
  const ByteView more = as_bytes("x");
  EXPECT_EQ((*stream)->write({&more, 1}).error().code, Errc::closed);
}

// ... so a culvert that closes in order says that it ends.
TEST_F(ClientTest, ClosingIsNoReset) {
  for (const bool aborts : {false, true}) {
    testing::SshTestServer server(context_, UserKey::instance().public_key());
    Client client(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
    ASSERT_TRUE(connect(client));
    auto stream = dial(client, "report");
    ASSERT_TRUE(stream);
    ASSERT_TRUE(run(context_, send_all(**stream, "words", false)));
    aborts ? (*stream)->abort() : (*stream)->close();
    testing::run_until(context_, [&] { return server.reports().size() == 1; });
    EXPECT_EQ(server.reports()[0], aborts ? "words, reset" : "words, end");
  }
}

TEST_F(ClientTest, AnEndAndThenACloseAreInOrder) {
  testing::SshTestServer server(context_, UserKey::instance().public_key());
  Client client(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
  ASSERT_TRUE(connect(client));
  auto stream = dial(client, "greeting");
  ASSERT_TRUE(stream);
  const auto received = run(context_, receive_all(**stream));
  EXPECT_FALSE(received.error);
  EXPECT_EQ(received.bytes, "hello");
  EXPECT_FALSE(run(context_, receive_all(**stream)).error) << "every further read says so too";
  (*stream)->close();
  EXPECT_EQ(run(context_, receive_all(**stream)).error->code, Errc::cancelled);
}

TEST_F(ClientTest, ClosingLetsItsOwnWaitersGo) {
  testing::SshTestServer server(context_, UserKey::instance().public_key());
  Client client(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
  ASSERT_TRUE(connect(client));
  auto stream = dial(client, "stuck");
  ASSERT_TRUE(stream);
  const std::string much(80u << 20, 'x');
  auto writing = start(context_, send_all(**stream, much));
  asio::steady_timer pause(context_, std::chrono::milliseconds(50));
  run(context_, [](asio::steady_timer& timer) -> relay::Task<void> {
    co_await timer.async_wait(asio::use_awaitable);
  }(pause));
  (*stream)->abort();
  EXPECT_EQ(writing.wait().error().code, Errc::cancelled);
}

TEST_F(ClientTest, StreamsFailWhenTheSessionEndsAndOutliveTheClient) {
  testing::SshTestServer server(context_, UserKey::instance().public_key());
  auto client = std::make_unique<Client>(context_.get_executor(), options(server.port()), resolver_, random_,
                                         prompter_);
  ASSERT_TRUE(connect(*client));
  auto stream = dial(*client, "echo");
  ASSERT_TRUE(stream);
  auto reading = start(context_, receive_all(**stream));
  auto silent = start(context_, dial_named(*client, "silent", 1));
  auto closed = start(context_, client->closed());
  testing::run_until(context_, [&] { return server.requested() == 2; });
  server.disconnect_all();
  EXPECT_EQ(reading.wait().error->code, Errc::reset);
  const auto never = silent.wait();
  ASSERT_FALSE(never);
  EXPECT_EQ(never.error().reason, relay::Refusal::closed) << "nobody refused it: " << never.error().message;
  const auto why = closed.wait();
  EXPECT_NE(why.code, Errc::cancelled);
  EXPECT_NE(why.message.find("127.0.0.1 port"), std::string::npos) << why.message;
  const auto late = dial(*client, "echo");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().reason, relay::Refusal::closed);
  client.reset();
  const ByteView more = as_bytes("x");
  EXPECT_FALSE((*stream)->write({&more, 1}));
  (*stream)->end();
  (*stream)->close();
}

// The peer's close is not answered yet when the session ends: nobody is there to answer to.
TEST_F(ClientTest, WhatWasSentBeforeACloseOutlivesTheSession) {
  struct Listener final : relay::Stream::CloseListener {
    void peer_closed() override { is_told = true; }
    bool is_told = false;
  };
  for (const bool gives_up : {false, true}) {
    testing::SshTestServer server(context_, UserKey::instance().public_key());
    Client client(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
    ASSERT_TRUE(connect(client));
    auto stream = dial(client, "hang-up");
    ASSERT_TRUE(stream);
    Listener listener;
    (*stream)->set_close_listener(&listener);
    testing::run_until(context_, [&] { return listener.is_told; });
    server.disconnect_all();
    (void)run(context_, client.closed());
    if (gives_up) {
      (*stream)->close();
    } else {
      EXPECT_EQ(run(context_, receive_all(**stream)).bytes, "last words");
    }
  }
}

// Whatever is under way: the client goes, and connect() and dial() return.
TEST_F(ClientTest, MayGoAtAnyStep) {
  for (std::size_t steps = 0;; ++steps) {
    testing::SshTestServer server(context_, UserKey::instance().public_key());
    auto client = std::make_unique<Client>(context_.get_executor(), options(server.port()), resolver_,
                                           random_, prompter_);
    auto connecting = start(context_, client->connect());
    std::size_t done = 0;
    for (; done < steps && !connecting.done(); ++done) {
      context_.restart();
      context_.run_one();
    }
    const bool finished = connecting.done();
    if (finished) {
      ASSERT_TRUE(connecting.wait());
      auto dialling = start(context_, dial_named(*client, "echo", 1));
      for (; done < steps && !dialling.done(); ++done) {
        context_.restart();
        context_.run_one();
      }
      const bool dialled = dialling.done();
      client.reset();
      const auto stream = dialling.wait();
      if (dialled) return;
      EXPECT_FALSE(stream);
      continue;
    }
    client.reset();
    EXPECT_EQ(connecting.wait().error().code, Errc::cancelled) << "after " << steps;
    ASSERT_LT(steps, 2000U);
  }
}

// The io_context goes with everything under way: nothing leaks, nothing runs afterwards. The client belongs
// to a coroutine (and goes with the io_context, too), or has gone just before.
TEST_F(ClientTest, TheExecutorMayGoAtAnyStep) {
  bool all_done = false;
  for (std::size_t steps = 0; !all_done && steps < 2000; ++steps) {
    auto context = std::make_unique<asio::io_context>(1);
    auto server = std::make_unique<testing::SshTestServer>(*context, UserKey::instance().public_key());
    auto client = std::make_shared<Client>(context->get_executor(), options(server->port()), resolver_,
                                           random_, prompter_);
    const auto use = [](Client& one, bool& done) -> relay::Task<void> {
      if (!co_await one.connect()) co_return;
      asio::co_spawn(co_await asio::this_coro::executor, forget(dial_named(one, "silent", 1)),
                     asio::detached);
      auto stream = co_await dial_named(one, "echo", 1);
      if (!stream) co_return;
      (void)co_await send_all(**stream, "ping", false);
      done = true;
      (void)co_await receive_all(**stream);
    };
    asio::co_spawn(*context, [use, client, &all_done] { return use(*client, all_done); }, asio::detached);
    if (steps % 2 == 0) client.reset();
    for (std::size_t i = 0; i < steps && !all_done; ++i) context->run_one();
    client.reset();
    server.reset();
    context.reset();
  }
  EXPECT_TRUE(all_done);
}

TEST_F(ClientTest, OneLineForEachFailure) {
  auto failure = [&](ServerOptions wrong) {
    Client client(context_.get_executor(), std::move(wrong), resolver_, random_, prompter_);
    const auto done = connect(client);
    return done ? "connected" : done.error().message;
  };
  testing::SshTestServer server(context_, UserKey::instance().public_key());

  auto nobody = options(server.port());
  nobody.user = "nobody";
  EXPECT_EQ(failure(nobody), "nobody@127.0.0.1: Permission denied (publickey)");

  auto strict = options(server.port());
  strict.host_key_policy = HostKeyPolicy::yes;
  strict.user_known_hosts = {dir_.path() / "empty"};
  EXPECT_NE(failure(strict).find("Host key verification failed"), std::string::npos);

  auto nothing_in_common = options(server.port());
  nothing_in_common.algorithms.ciphers = {"none-such"};
  EXPECT_NE(failure(nothing_in_common).find("127.0.0.1 port"), std::string::npos);

  auto nowhere = options(1);
  EXPECT_EQ(failure(nowhere), "cannot connect to 127.0.0.1 port 1: Connection refused");

  auto nameless = options(server.port());
  nameless.host = "no-such-host.invalid";
  EXPECT_TRUE(failure(nameless).starts_with("cannot resolve no-such-host.invalid: ")) << failure(nameless);
}

TEST_F(ClientTest, AServerThatHasHadEnoughAttemptsRefusesForGood) {
  testing::SshTestServer::Options impatient;
  impatient.session.limits.auth_attempts = 1;
  testing::SshTestServer server(context_, UserKey::instance().public_key(), impatient);
  auto nobody = options(server.port());
  nobody.user = "nobody";
  const std::string other = dir_.path() / "other";
  ASSERT_EQ(std::system(("ssh-keygen -q -t ed25519 -N '' -f " + other).c_str()), 0);
  nobody.identity_files.push_back(other);
  Client client(context_.get_executor(), nobody, resolver_, random_, prompter_);
  const auto done = connect(client);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::denied);
  EXPECT_EQ(done.error().message,
            "nobody@127.0.0.1: Permission denied (the peer disconnected: disconnected)");
}

TEST_F(ClientTest, AJumpHostThatDoesNotAnswerIsNotWaitedForForEver) {
  testing::SshTestServer server(context_, UserKey::instance().public_key());
  auto behind = options(22);
  behind.host = "silent";
  behind.way = JumpHost{std::make_shared<const ServerOptions>(options(server.port()))};
  behind.connect_timeout = std::chrono::milliseconds(500);
  Client client(context_.get_executor(), behind, resolver_, random_, prompter_);
  const auto done = connect(client);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::timed_out);
  EXPECT_EQ(done.error().message, "cannot connect to silent port 22 through 127.0.0.1: no answer");
}

TEST_F(ClientTest, ConnectsFromAName) {
  testing::SshTestServer server(context_, UserKey::instance().public_key());
  auto from = options(server.port());
  from.bind_address = "localhost";
  Client client(context_.get_executor(), from, resolver_, random_, prompter_);
  const auto connected = connect(client);
  EXPECT_TRUE(connected) << connected.error().message;

  from.bind_address = "no-such-host.invalid";
  Client lost(context_.get_executor(), from, resolver_, random_, prompter_);
  const auto done = connect(lost);
  ASSERT_FALSE(done);
  EXPECT_TRUE(done.error().message.starts_with("cannot connect from no-such-host.invalid: "))
      << done.error().message;
}

// Its kernel still answers the kernel here.
TEST_F(ClientTest, AServerThatHangsIsAskedOnce) {
  asio::io_context there(1);
  testing::SshTestServer server(there, UserKey::instance().public_key());
  auto with = options(server.port());
  with.timing.keepalive_interval = std::chrono::seconds(60);
  with.asks_beside_kernel = std::chrono::milliseconds(200);
  Client client(context_.get_executor(), with, resolver_, random_, prompter_);
  auto connecting = start(context_, client.connect());
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!connecting.done() && std::chrono::steady_clock::now() < end) {
    for (auto* one : {&there, &context_}) {
      one->restart();
      one->poll();
    }
  }
  ASSERT_TRUE(connecting.done());
  ASSERT_TRUE(connecting.wait());
  const auto why = run(context_, client.closed());
  EXPECT_EQ(why.code, Errc::timed_out) << why.message;
  EXPECT_NE(why.message.find("1 keepalive unanswered"), std::string::npos) << why.message;
}

// A server that closes down says so to whoever is logging in, and that is no refusal.
TEST_F(ClientTest, AServerThatClosesDownHasRefusedNobody) {
  testing::SshTestServer::Options closing;
  closing.closes_at_login = true;
  testing::SshTestServer server(context_, UserKey::instance().public_key(), closing);
  Client client(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
  const auto done = connect(client);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::closed) << done.error().message;
}

// What is not SSH at all, and what goes away in the middle.
TEST_F(ClientTest, StrangeServers) {
  for (const std::string_view greeting :
       {"", "SSH-2.0-x\r\n", "SSH-1.5-old\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n",
        "SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff\xff\xff"}) {
    auto listener =
        *net::Listener::listen_tcp(context_.get_executor(), {asio::ip::make_address("127.0.0.1"), 0});
    auto serving = start(context_, [](net::Listener& from, std::string_view text) -> relay::Task<void> {
      auto socket = co_await from.accept();
      if (socket && !text.empty()) (void)net::try_write(socket->socket.native_handle(), as_bytes(text));
    }(listener, greeting));
    Client client(context_.get_executor(), options(listener.port()), resolver_, random_, prompter_);
    const auto done = connect(client);
    ASSERT_FALSE(done);
    EXPECT_TRUE(done.error().message.starts_with("127.0.0.1 port ")) << done.error().message;
    serving.wait();
  }
}

}  // namespace
}  // namespace culvert::tunnel
