// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/arrival.hpp"

#include <deque>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <gtest/gtest.h>

#include "net/as_tuple.hpp"
#include "tests/support/memory_stream.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"

namespace culvert::relay {
namespace {

namespace asio = boost::asio;
using testing::MemoryStream;
using testing::run;
using testing::start;

class Came final : public Pending {
 public:
  Came(std::string host, std::unique_ptr<Stream> stream)
      : origin_(HostPort{std::move(host), 7}), stream_(std::move(stream)) {}
  const std::optional<Endpoint>& destination() const override { return none_; }
  const Endpoint& origin() const override { return origin_; }
  std::unique_ptr<Stream> accept() override { return std::move(stream_); }
  void refuse(Refusal) override { stream_.reset(); }

 private:
  const std::optional<Endpoint> none_;
  const Endpoint origin_;
  std::unique_ptr<Stream> stream_;
};

/// What listens at the far end, and what it saw.
struct Far {
  explicit Far(const asio::any_io_executor& executor)
      : changed(executor, asio::steady_timer::time_point::max()) {}
  std::deque<std::unique_ptr<Pending>> waiting;
  bool stopped = false;
  bool alive = false;
  std::optional<Endpoint> asked;
  std::optional<DialError> refuses;
  std::optional<Error> fails;
  std::optional<Endpoint> keeps_out;
  asio::steady_timer changed;
};

class TestBound final : public BoundSource {
 public:
  explicit TestBound(Far& far) : far_(far) { far.alive = true; }
  ~TestBound() override { far_.alive = false; }
  const Endpoint& bound() const override { return bound_; }
  bool lets_in(const Endpoint& peer) const override { return peer != far_.keeps_out; }
  std::string name() const override { return "far"; }
  void stop() override {
    far_.stopped = true;
    far_.changed.cancel();
  }
  Task<Result<std::unique_ptr<Pending>>> next() override {
    while (far_.waiting.empty()) {
      if (far_.fails) co_return std::unexpected(*far_.fails);
      if (far_.stopped) co_return cancelled();
      (void)co_await far_.changed.async_wait(net::kTuple);
    }
    auto pending = std::move(far_.waiting.front());
    far_.waiting.pop_front();
    co_return pending;
  }

 private:
  Far& far_;
  const Endpoint bound_ = HostPort{"192.0.2.9", 4711};
};

class TestListener final : public FarListener {
 public:
  explicit TestListener(Far& far) : far_(far) {}
  Task<std::expected<std::unique_ptr<BoundSource>, DialError>> listen(const Endpoint& where) override {
    far_.asked = where;
    if (far_.refuses) co_return std::unexpected(*far_.refuses);
    co_return std::make_unique<TestBound>(far_);
  }

 private:
  Far& far_;
};

class TestClient final : public Negotiation {
 public:
  explicit TestClient(const asio::any_io_executor& executor)
      : leaves(executor, asio::steady_timer::time_point::max()) {}
  bool wants_datagrams() const override { return false; }
  Task<Carried> carry_datagrams(DatagramCarrier&, Rates, CarriedDatagrams&) override { co_return Carried(); }
  bool wants_listener() const override { return true; }
  Task<Result<void>> tell_connected(const Endpoint&) override {
    co_return fail(Errc::closed, "not asked for");
  }
  Task<Result<void>> tell_listening(const Endpoint& where) override {
    told += "listening " + to_string(where) + "\n";
    if (deaf) co_return fail(Errc::reset, "reset");
    co_return Result<void>();
  }
  bool expects(const Endpoint& peer) const override { return std::get<HostPort>(peer).host == "friend"; }
  Task<Result<void>> tell_arrived(const Endpoint& peer) override {
    told += "arrived " + to_string(peer) + "\n";
    co_return Result<void>();
  }
  Task<void> gone() override {
    watched = true;
    (void)co_await leaves.async_wait(net::kTuple);
    watched = false;
  }

  std::string told;
  bool deaf = false;
  bool watched = false;
  asio::steady_timer leaves;
};

class ArrivalTest : public ::testing::Test {
 protected:
  std::unique_ptr<MemoryStream> come(std::string host) {
    auto [here, there] = MemoryStream::make(context.get_executor());
    far.waiting.push_back(std::make_unique<Came>(std::move(host), std::move(here)));
    far.changed.cancel();
    return std::move(there);
  }
  void settle() {
    context.restart();
    context.poll();
  }
  // After each of them: nobody watches the client, nothing listens.
  void expect_over() {
    EXPECT_FALSE(client.watched);
    EXPECT_FALSE(far.alive);
  }

  asio::io_context context;
  Far far{context.get_executor()};
  TestListener listener{far};
  TestClient client{context.get_executor()};
  Arrival arrival{&listener, client, HostPort{"friend", 9}, HostPort{}, std::chrono::hours(1)};
};

TEST_F(ArrivalTest, TakesWhoIsExpectedAndTellsTheClientTwice) {
  auto running = start(context, arrival.run());
  settle();
  EXPECT_EQ(far.asked, Endpoint(HostPort{}));
  EXPECT_EQ(client.told, "listening 192.0.2.9:4711\n");
  EXPECT_TRUE(client.watched);
  auto stranger = come("stranger");
  EXPECT_EQ(run(context, testing::receive_all(*stranger)).error->code, Errc::reset);
  EXPECT_FALSE(running.done());
  auto peer = come("friend");
  auto stream = running.wait();
  ASSERT_TRUE(stream) << stream.error().message;
  EXPECT_EQ(client.told, "listening 192.0.2.9:4711\narrived friend:7\n");
  auto sending = start(context, testing::send_all(*peer, "hello"));
  EXPECT_EQ(run(context, testing::receive_all(**stream)).bytes, "hello");
  expect_over();
}

TEST_F(ArrivalTest, WhoIsNotLetInIsTurnedAway) {
  far.keeps_out = HostPort{"friend", 7};
  auto running = start(context, arrival.run());
  settle();
  auto peer = come("friend");
  EXPECT_EQ(run(context, testing::receive_all(*peer)).error->code, Errc::reset);
  EXPECT_FALSE(running.done());
  far.keeps_out.reset();
  auto again = come("friend");
  EXPECT_TRUE(running.wait());
}

TEST_F(ArrivalTest, WithoutAListenerItIsUnsupported) {
  Arrival none(nullptr, client, HostPort{}, HostPort{}, std::chrono::hours(1));
  EXPECT_EQ(run(context, none.run()).error().reason, Refusal::unsupported);
  far.refuses = DialError{Refusal::prohibited, "not here"};
  EXPECT_EQ(run(context, arrival.run()).error().reason, Refusal::prohibited);
  EXPECT_EQ(client.told, "");
}

TEST_F(ArrivalTest, NobodyComesInTime) {
  Arrival brief(&listener, client, HostPort{}, HostPort{}, std::chrono::milliseconds(20));
  const auto came = run(context, brief.run());
  EXPECT_EQ(came.error().reason, Refusal::timed_out);
  expect_over();
}

TEST_F(ArrivalTest, TheClientLeaves) {
  auto running = start(context, arrival.run());
  settle();
  client.leaves.cancel();
  const auto came = running.wait();
  EXPECT_EQ(came.error().reason, Refusal::closed);
  EXPECT_EQ(came.error().message, "the client left");
  expect_over();
}

TEST_F(ArrivalTest, TheClientIsGoneBeforeItIsTold) {
  client.deaf = true;
  EXPECT_EQ(run(context, arrival.run()).error().reason, Refusal::closed);
  expect_over();
}

TEST_F(ArrivalTest, IsStoppedAtAnyTime) {
  auto running = start(context, arrival.run());
  settle();
  arrival.stop();
  EXPECT_EQ(running.wait().error().reason, Refusal::closed);
  expect_over();
  Arrival before(&listener, client, HostPort{}, HostPort{}, std::chrono::hours(1));
  before.stop();
  EXPECT_EQ(run(context, before.run()).error().reason, Refusal::closed);
  expect_over();
}

TEST_F(ArrivalTest, TheFarEndFails) {
  auto running = start(context, arrival.run());
  settle();
  far.fails = Error{Errc::closed, "the session is over"};
  far.changed.cancel();
  EXPECT_EQ(running.wait().error().message, "the session is over");
  expect_over();
}

TEST_F(ArrivalTest, StrangersDoNotGoOnForEver) {
  std::vector<std::unique_ptr<MemoryStream>> strangers;
  for (int i = 0; i < 1000; ++i) strangers.push_back(come("stranger"));
  EXPECT_EQ(run(context, arrival.run()).error().reason, Refusal::prohibited);
  EXPECT_GT(far.waiting.size(), 900u);
  expect_over();
}

}  // namespace
}  // namespace culvert::relay
