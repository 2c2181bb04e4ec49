// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/forward.hpp"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <gtest/gtest.h>

#include "base/log.hpp"
#include "net/as_tuple.hpp"
#include "net/cancelled.hpp"
#include "tests/support/memory_stream.hpp"
#include "tests/support/pushed_source.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"

namespace culvert::relay {
namespace {

namespace asio = boost::asio;
using testing::MemoryStream;
using testing::pattern;
using testing::PushedSource;
using testing::receive_all;
using testing::run;
using testing::send_all;
using testing::start;

class TestPending final : public Pending {
 public:
  TestPending(std::unique_ptr<Stream> stream, std::optional<Endpoint> destination,
              std::shared_ptr<std::optional<Refusal>> refused, std::shared_ptr<TargetGroup> targets = {})
      : stream_(std::move(stream)),
        destination_(std::move(destination)),
        refused_(refused),
        targets_(std::move(targets)) {}
  ~TestPending() override {
    if (stream_) refuse(Refusal::closed);
  }
  const std::optional<Endpoint>& destination() const override { return destination_; }
  std::shared_ptr<TargetGroup> targets() const override { return targets_; }
  const Endpoint& origin() const override { return origin_; }
  std::unique_ptr<Stream> accept() override { return std::move(stream_); }
  void refuse(Refusal reason) override {
    *refused_ = reason;
    stream_->abort();
    stream_.reset();
  }

 private:
  std::unique_ptr<Stream> stream_;
  std::optional<Endpoint> destination_;
  Endpoint origin_ = HostPort{"127.0.0.1", 40000};
  std::shared_ptr<std::optional<Refusal>> refused_;
  std::shared_ptr<TargetGroup> targets_;
};

/// By port: 1 is silent, 2 refuses, 3 throws, 4 is not permitted, others answer with a stream whose far end
/// the test gets.
class TestDialer final : public Dialer {
 public:
  explicit TestDialer(asio::any_io_executor executor) : executor_(std::move(executor)) {}

  Task<Dialed> dial(const Endpoint& destination, const Visit&) override {
    const auto port = std::get<HostPort>(destination).port;
    asked.push_back(port);
    if (port == 1) {
      ++silent;
      asio::steady_timer never(executor_, asio::steady_timer::time_point::max());
      (void)co_await never.async_wait(net::kTuple);
      EXPECT_TRUE(net::is_cancelled(co_await asio::this_coro::cancellation_state));
      --silent;
      co_return std::unexpected(DialError{Refusal::closed, "cancelled"});
    }
    if (port == 2) {
      co_return std::unexpected(
          DialError{Refusal::connection_refused, "open failed: connect failed: Connection refused"});
    }
    if (port == 3) throw std::runtime_error("a bug");
    if (port == 4)
      co_return std::unexpected(
          DialError{Refusal::prohibited, "not permitted: no rule", {"connect = [\"10.0.0.5:4\"]"}});
    auto [here, there] = MemoryStream::make(executor_);
    far_ends.push_back(std::move(there));
    co_return std::move(here);
  }

  std::vector<std::uint16_t> asked;
  int silent = 0;
  std::deque<std::unique_ptr<MemoryStream>> far_ends;

 private:
  asio::any_io_executor executor_;
};

class ForwardTest : public ::testing::Test {
 protected:
  ForwardTest() { EXPECT_TRUE(set_up_log(LogLevel::notice, log_file)); }
  ~ForwardTest() override {
    (void)set_up_log(LogLevel::notice, "");
    std::filesystem::remove(log_file);
  }

  void make(ForwardOptions options = {}) {
    auto owned = std::make_unique<PushedSource>(context.get_executor(), "127.0.0.1:15432");
    source = owned.get();
    forward = std::make_unique<Forward>(std::move(owned), dialer, std::move(options));
  }

  struct Client {
    std::unique_ptr<MemoryStream> stream;
    std::shared_ptr<std::optional<Refusal>> refused = std::make_shared<std::optional<Refusal>>();
  };
  static std::shared_ptr<TargetGroup> group(std::initializer_list<std::uint16_t> ports) {
    std::vector<Endpoint> targets;
    for (const std::uint16_t port : ports) targets.emplace_back(HostPort{"10.0.0.5", port});
    return TargetGroup::make(std::move(targets), {}, nullptr);
  }
  Client connect(std::optional<std::uint16_t> port, std::shared_ptr<TargetGroup> targets = {}) {
    Client client;
    auto [here, there] = MemoryStream::make(context.get_executor());
    client.stream = std::move(there);
    std::optional<Endpoint> destination;
    if (port) destination = HostPort{"10.0.0.5", *port};
    source->push(
        std::make_unique<TestPending>(std::move(here), destination, client.refused, std::move(targets)));
    return client;
  }
  void settle() {
    context.restart();
    context.poll();
  }
  [[nodiscard]] std::string logged() const {
    std::ifstream file(log_file);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  const std::string log_file =
      ::testing::TempDir() + "culvert-forward-" + std::to_string(::getpid()) + ".log";
  asio::io_context context;
  TestDialer dialer{context.get_executor()};
  PushedSource* source = nullptr;
  std::unique_ptr<Forward> forward;
};

TEST_F(ForwardTest, JoinsStreamsToTheirDestination) {
  make({.destination = Endpoint(HostPort{"10.0.0.5", 5432}), .limit = 10});
  auto running = start(context, forward->run());
  auto client = connect(std::nullopt);
  auto asking = start(context, send_all(*client.stream, "question"));
  settle();
  ASSERT_EQ(dialer.far_ends.size(), 1U);
  EXPECT_EQ(forward->counters().live, 1U);
  EXPECT_EQ(forward->counters().bytes_out, 8U);
  auto& server = *dialer.far_ends.front();
  EXPECT_EQ(run(context, receive_all(server)).bytes, "question");
  auto replying = start(context, send_all(server, "the answer"));
  EXPECT_EQ(run(context, receive_all(*client.stream)).bytes, "the answer");
  settle();
  const auto counters = forward->counters();
  EXPECT_EQ(counters.accepted, 1U);
  EXPECT_EQ(counters.live, 0U);
  EXPECT_EQ(counters.failed, 0U);
  EXPECT_EQ(counters.bytes_out, 8U);
  EXPECT_EQ(counters.bytes_in, 10U);
  forward->stop();
  EXPECT_TRUE(running.wait());
  EXPECT_EQ(run(context, forward->drain(Duration::zero())), 0U);
  EXPECT_EQ(logged(), "");
}

TEST_F(ForwardTest, OfSeveralTargetsOneIsChosen) {
  make({.destination = Endpoint(HostPort{"10.0.0.5", 11}), .targets = group({11, 2, 12})});
  auto running = start(context, forward->run());
  const auto asked = [&](std::optional<std::uint16_t> port, std::shared_ptr<TargetGroup> targets = {}) {
    dialer.asked.clear();
    const auto client = connect(port, std::move(targets));
    settle();
    return dialer.asked;
  };
  using Ports = std::vector<std::uint16_t>;
  EXPECT_EQ(asked(std::nullopt), Ports{11});
  EXPECT_EQ(asked(std::nullopt), (Ports{2, 12})) << "one that fails, and the next";
  EXPECT_EQ(asked(std::nullopt), Ports{11});
  EXPECT_EQ(asked(11), Ports{11}) << "its own destination is one place, whatever it is among the others";
  EXPECT_EQ(asked(11), Ports{11});
  const auto own = group({21, 22});
  EXPECT_EQ(asked(21, own), Ports{21});
  EXPECT_EQ(asked(21, own), Ports{22});
  EXPECT_EQ(forward->counters().failed, 0U);
  EXPECT_EQ(asked(2, group({2, 4})), (Ports{2, 4}));
  EXPECT_TRUE(
      logged().contains("127.0.0.1:15432 -> 10.0.0.5:2: 2 targets failed, the last, 10.0.0.5:4: not "
                        "permitted: no rule"))
      << logged();
}

TEST_F(ForwardTest, TellsBothSidesWhyADialFailed) {
  make();
  auto running = start(context, forward->run());
  auto refused = connect(2);
  auto nowhere = connect(std::nullopt);
  EXPECT_EQ(run(context, receive_all(*refused.stream)).error->code, Errc::reset);
  EXPECT_EQ(run(context, receive_all(*nowhere.stream)).error->code, Errc::reset);
  EXPECT_EQ(*refused.refused, Refusal::connection_refused);
  EXPECT_EQ(*nowhere.refused, Refusal::unsupported);
  settle();
  EXPECT_EQ(forward->counters().failed, 2U);
  EXPECT_EQ(forward->counters().accepted, 0U);
  EXPECT_NE(logged().find("127.0.0.1:15432 -> 10.0.0.5:2: open failed: connect failed: Connection refused\n"),
            std::string::npos)
      << logged();
}

TEST_F(ForwardTest, CountsWhatAFloodIsRefused) {
  make();
  auto running = start(context, forward->run());
  const auto lines = [this] {
    const std::string text = logged();
    return std::ranges::count(text, '\n');
  };
  for (int i = 0; i < 200; ++i) connect(2);
  settle();
  EXPECT_EQ(forward->counters().failed, 200U);
  const auto told = lines();
  EXPECT_GE(told, 50);
  EXPECT_LT(told, 200);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  connect(2);
  settle();
  EXPECT_EQ(lines(), told + 1);
  EXPECT_TRUE(logged().ends_with(" before it)\n")) << logged();
}

TEST_F(ForwardTest, TellsTheRuleThatWouldHaveAllowedAStream) {
  make();
  auto running = start(context, forward->run());
  auto refused = connect(4);
  settle();
  EXPECT_TRUE(
      logged().ends_with("127.0.0.1:15432 -> 10.0.0.5:4: not permitted: no rule; this rule would: "
                         "connect = [\"10.0.0.5:4\"]\n"))
      << logged();
}

TEST_F(ForwardTest, TellsProgramsWhatARefusedStreamWas) {
  ASSERT_TRUE(set_up_log(LogLevel::notice, log_file, LogFormat::json));
  make({.context = {[](LogFields& fields) { fields.add("user", "me"); }}});
  auto running = start(context, forward->run());
  auto refused = connect(4);
  settle();
  EXPECT_TRUE(logged().ends_with(
      R"("reason":"not permitted: no rule","rule":"connect = [\"10.0.0.5:4\"]","user":"me",)"
      R"("destination_host":"10.0.0.5","destination_port":4,"origin_host":"127.0.0.1","origin_port":40000})"
      "\n"))
      << logged();
}

TEST_F(ForwardTest, ASilentTargetHoldsUpNoOther) {
  make();
  auto running = start(context, forward->run());
  auto silent = connect(1);
  std::vector<Client> clients;
  for (int i = 0; i < 99; ++i) {
    clients.push_back(connect(80));
    auto sending = start(context, send_all(*clients.back().stream, "hello"));
    settle();
    ASSERT_EQ(dialer.far_ends.size(), static_cast<std::size_t>(i + 1));
    auto& server = *dialer.far_ends.back();
    EXPECT_EQ(run(context, receive_all(server)).bytes, "hello");
    server.end();
    EXPECT_FALSE(run(context, receive_all(*clients.back().stream)).error);
  }
  settle();
  EXPECT_EQ(forward->counters().accepted, 99U);
  EXPECT_EQ(forward->counters().dialing, 1U);
  EXPECT_EQ(forward->counters().live, 0U);
  forward->stop();
  EXPECT_TRUE(running.wait());
  EXPECT_EQ(run(context, forward->drain(std::chrono::milliseconds(5))), 1U);
  EXPECT_EQ(dialer.silent, 0);  // its dial was given up
  EXPECT_EQ(*silent.refused, Refusal::closed);
  EXPECT_EQ(logged(), "");  // we ended it ourselves
}

TEST_F(ForwardTest, DrainsWhatLivesAndAbortsTheRest) {
  make({.destination = Endpoint(HostPort{"10.0.0.5", 5432}), .limit = 10});
  auto running = start(context, forward->run());
  auto polite = connect(std::nullopt);
  auto endless = connect(std::nullopt);
  settle();
  ASSERT_EQ(dialer.far_ends.size(), 2U);
  forward->stop();
  EXPECT_TRUE(running.wait());
  auto draining = start(context, forward->drain(std::chrono::seconds(1)));
  settle();
  EXPECT_FALSE(draining.done());
  // It may still finish what it does.
  polite.stream->end();
  dialer.far_ends.front()->end();
  EXPECT_FALSE(run(context, receive_all(*polite.stream)).error);
  EXPECT_EQ(draining.wait(), 1U);
  EXPECT_EQ(run(context, receive_all(*endless.stream)).error->code, Errc::reset);
  EXPECT_EQ(forward->counters().live, 0U);
}

TEST_F(ForwardTest, DrainReturnsAsSoonAsTheLastOneEnds) {
  make({.destination = Endpoint(HostPort{"10.0.0.5", 5432}), .limit = 10});
  auto running = start(context, forward->run());
  auto client = connect(std::nullopt);
  settle();
  forward->stop();
  auto draining = start(context, forward->drain(std::chrono::hours(1)));
  settle();
  client.stream->end();
  dialer.far_ends.front()->end();
  EXPECT_EQ(draining.wait(), 0U);
}

TEST_F(ForwardTest, AbortEndsADrain) {
  make({.destination = Endpoint(HostPort{"10.0.0.5", 5432}), .limit = 10});
  auto running = start(context, forward->run());
  auto client = connect(std::nullopt);
  auto dialing = connect(1);
  settle();
  forward->stop();
  auto draining = start(context, forward->drain(std::chrono::hours(1)));
  settle();
  forward->abort();
  (void)draining.wait();
  EXPECT_EQ(run(context, receive_all(*client.stream)).error->code, Errc::reset);
  EXPECT_EQ(dialer.silent, 0);
}

TEST_F(ForwardTest, RefusesWhatIsMoreThanItsLimit) {
  make({.destination = Endpoint(HostPort{"10.0.0.5", 5432}), .limit = 2});
  auto running = start(context, forward->run());
  auto first = connect(std::nullopt);
  auto second = connect(1);
  auto third = connect(std::nullopt);
  auto fourth = connect(std::nullopt);
  settle();
  EXPECT_EQ(*third.refused, Refusal::overloaded);
  EXPECT_EQ(*fourth.refused, Refusal::overloaded);
  EXPECT_EQ(forward->counters().failed, 2U);
  EXPECT_NE(logged().find("more than 2 streams at once"), std::string::npos);
  first.stream->abort();
  settle();
  auto fifth = connect(std::nullopt);
  settle();
  EXPECT_FALSE(*fifth.refused);
  EXPECT_EQ(forward->counters().accepted, 2U);
  const std::string said = logged();
  auto sixth = connect(std::nullopt);
  settle();
  EXPECT_EQ(*sixth.refused, Refusal::overloaded);
  EXPECT_EQ(logged(), said) << "or who comes and goes could fill a disk";
}

TEST_F(ForwardTest, ForwardsShareALimit) {
  const StreamLimit limit(2);
  make({.destination = Endpoint(HostPort{"10.0.0.5", 5432}), .limit = limit});
  auto running = start(context, forward->run());
  auto first = connect(std::nullopt);
  settle();
  const auto other = std::move(forward);
  make({.destination = Endpoint(HostPort{"10.0.0.5", 5432}), .limit = limit});
  auto also_running = start(context, forward->run());
  auto second = connect(std::nullopt);
  auto third = connect(std::nullopt);
  settle();
  EXPECT_FALSE(*second.refused);
  EXPECT_EQ(*third.refused, Refusal::overloaded);
  first.stream->abort();
  settle();
  EXPECT_EQ(other->counters().live, 0U);
  auto fourth = connect(std::nullopt);
  settle();
  EXPECT_FALSE(*fourth.refused);
}

TEST_F(ForwardTest, KeepsToARateOverAllStreams) {
  const auto begin = std::chrono::steady_clock::now();
  const auto rate = std::make_shared<Rate>(10);
  make({.destination = Endpoint(HostPort{"10.0.0.5", 5432}), .rates = {.out = rate}});
  auto running = start(context, forward->run());
  auto first = connect(std::nullopt);
  auto second = connect(std::nullopt);
  for (auto* client : {&first, &second}) {
    auto sending = start(context, send_all(*client->stream, "question"));
    settle();
  }
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(forward->counters().bytes_out, 10U);
  EXPECT_LE(static_cast<double>(forward->counters().bytes_out), 10 + 10 * passed.count());
  const std::string reply = pattern(1000, 1);
  auto replying = start(context, send_all(*dialer.far_ends.front(), reply));
  EXPECT_EQ(run(context, receive_all(*first.stream)).bytes.size(), 1000U);
}

TEST_F(ForwardTest, EndsStreamsThatAreSilent) {
  make({.destination = Endpoint(HostPort{"10.0.0.5", 5432}),
        .silence = {.idle = std::chrono::milliseconds(400)}});
  auto running = start(context, forward->run());
  const auto begin = std::chrono::steady_clock::now();
  auto silent = connect(std::nullopt);
  settle();
  auto busy = connect(std::nullopt);
  settle();
  ASSERT_EQ(dialer.far_ends.size(), 2U);
  auto ended = start(context, receive_all(*silent.stream));
  while (!ended.done()) {
    (void)run(context, send_all(*busy.stream, "x", false));
    (void)run(context, receive_all(*dialer.far_ends.back(), 1));
    context.restart();
    context.run_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(ended.wait().error) << "in order, since nothing was on its way";
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(395));
  settle();
  EXPECT_EQ(forward->counters().live, 1U);
  EXPECT_EQ(forward->counters().timed_out, 1U);
  // The watch ends with the last stream, and starts again with the next.
  EXPECT_FALSE(run(context, receive_all(*busy.stream)).error);
  settle();
  EXPECT_EQ(context.poll(), 0U);
  auto next = connect(std::nullopt);
  EXPECT_FALSE(run(context, receive_all(*next.stream)).error);
  EXPECT_EQ(forward->counters().timed_out, 3U);
  forward->stop();
  EXPECT_TRUE(running.wait());
  EXPECT_EQ(run(context, forward->drain(std::chrono::hours(1))), 0U);
}

TEST_F(ForwardTest, WhatIsHalfClosedHasATimeOfItsOwn) {
  make({.destination = Endpoint(HostPort{"10.0.0.5", 5432}),
        .silence = {.half_closed = std::chrono::milliseconds(40)}});
  auto running = start(context, forward->run());
  auto open = connect(std::nullopt);
  auto half = connect(std::nullopt);
  settle();
  half.stream->end();
  EXPECT_FALSE(run(context, receive_all(*half.stream)).error);
  testing::run_until(context, [&] { return forward->counters().timed_out == 1; });
  context.restart();
  context.run_for(std::chrono::milliseconds(60));
  EXPECT_EQ(forward->counters().live, 1U);
  EXPECT_EQ(forward->counters().timed_out, 1U);
  forward->stop();
  EXPECT_TRUE(running.wait());
  EXPECT_EQ(run(context, forward->drain(Duration::zero())), 1U);
  settle();
  EXPECT_EQ(context.poll(), 0U);  // nobody watches
}

TEST_F(ForwardTest, AStalledStreamThatTimesOutIsReset) {
  make({.destination = Endpoint(HostPort{"10.0.0.5", 5432}),
        .silence = {.idle = std::chrono::milliseconds(40)}});
  auto running = start(context, forward->run());
  auto client = connect(std::nullopt);
  const std::string much = pattern(1 << 20, 1);
  auto sending = start(context, send_all(*client.stream, much));
  settle();
  testing::run_until(context, [&] { return forward->counters().timed_out == 1; });
  const auto received = run(context, receive_all(*dialer.far_ends.front()));
  ASSERT_TRUE(received.error);  // who had not read all must not take it for the whole
  EXPECT_EQ(received.error->code, Errc::reset);
}

TEST_F(ForwardTest, EndsWithItsSource) {
  make();
  auto running = start(context, forward->run());
  source->fail_with({Errc::closed, "the session is over"});
  const auto result = running.wait();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "the session is over");
}

TEST_F(ForwardTest, ADialerThatThrowsEndsOneStreamOnly) {
  make();
  auto running = start(context, forward->run());
  auto unlucky = connect(3);
  auto client = connect(80);
  EXPECT_EQ(run(context, receive_all(*unlucky.stream)).error->code, Errc::reset);
  settle();
  EXPECT_EQ(dialer.far_ends.size(), 1U);
  EXPECT_NE(logged().find("a stream failed: a bug"), std::string::npos);
}

TEST_F(ForwardTest, ManyAtOnceDoNotKeepTheThread) {
  make({.destination = Endpoint(HostPort{"10.0.0.5", 5432}), .limit = 100'000});
  std::vector<Client> clients;
  for (int i = 0; i < 1000; ++i) clients.push_back(connect(std::nullopt));
  auto running = start(context, forward->run());
  settle();
  EXPECT_EQ(forward->counters().live, 1000U);
  forward->stop();
  EXPECT_TRUE(running.wait());
  EXPECT_EQ(run(context, forward->drain(Duration::zero())), 1000U);
}

TEST(ForwardLifetime, ItsContextMayEndFirst) {
  std::optional<asio::io_context> context(std::in_place);
  const auto refused = std::make_shared<std::optional<Refusal>>();
  TestDialer dialer(context->get_executor());
  auto owned = std::make_unique<PushedSource>(context->get_executor(), "127.0.0.1:15432");
  auto& source = *owned;
  auto forward = std::make_unique<Forward>(std::move(owned), dialer, ForwardOptions{});
  {
    auto running = start(*context, forward->run());
    auto [here, there] = MemoryStream::make(context->get_executor());
    auto [silent_here, silent_there] = MemoryStream::make(context->get_executor());
    source.push(std::make_unique<TestPending>(std::move(here), HostPort{"10.0.0.5", 80}, refused));
    source.push(std::make_unique<TestPending>(std::move(silent_here), HostPort{"10.0.0.5", 1}, refused));
    context->poll();
    EXPECT_EQ(forward->counters().live, 1U);
    EXPECT_EQ(forward->counters().dialing, 1U);
    forward->stop();
    context->restart();
    context->poll();
    EXPECT_TRUE(running.done());
    dialer.far_ends.clear();
  }
  // Nothing of its streams is left to be touched, although nobody drained it.
}

}  // namespace
}  // namespace culvert::relay
