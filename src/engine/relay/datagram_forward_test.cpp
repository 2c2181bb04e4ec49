// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/datagram_forward.hpp"

#include <sys/resource.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <dirent.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <gtest/gtest.h>

#include "net/connect.hpp"
#include "net/listener_set.hpp"
#include "net/udp_outbox.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/udp_peer.hpp"

namespace culvert::relay {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
using std::chrono::milliseconds;
using testing::udp_at;
using testing::UdpPeer;

/// Goes where the test says.
class TestTarget final : public DatagramTarget {
 public:
  struct Shared {
    Result<udp::endpoint> to;
    std::vector<End> ended;
    bool is_ready = true;
    std::optional<udp::endpoint> lost = {};
    std::size_t chosen = 0;
    std::size_t answered = 0;
  };
  explicit TestTarget(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  Task<void> ready() override {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    while (!shared_->is_ready) {
      timer.expires_after(milliseconds(1));
      co_await timer.async_wait(asio::use_awaitable);
    }
  }
  Result<udp::endpoint> choose(const udp::endpoint&) override {
    if (shared_->to) ++shared_->chosen;
    return shared_->to;
  }
  bool is_lost(const udp::endpoint& target) override { return target == shared_->lost; }
  void answered(const udp::endpoint&) override { ++shared_->answered; }
  void ended(const udp::endpoint&, End how) override { shared_->ended.push_back(how); }
  void stop() override { shared_->is_ready = true; }
  std::string name() const override { return "target"; }

 private:
  std::shared_ptr<Shared> shared_;
};

class DatagramForwardTest : public ::testing::Test {
 protected:
  void forward(DatagramOptions options = {}, const std::vector<std::string>& at = {"127.0.0.1"}) {
    std::vector<udp::endpoint> places;
    for (const auto& one : at) places.push_back(udp_at(one));
    forward_ = std::make_unique<DatagramForward>(net::listen_on_all(places).value(),
                                                 std::make_unique<TestTarget>(shared_), std::move(options));
    running_.emplace(context_, forward_->run());
    here_ = udp_at("127.0.0.1", forward_->port());
  }

  /// Runs until `done`; what has come to the target is answered meanwhile.
  void until(const std::function<bool()>& done) {
    testing::poll_until(context_, [&] {
      if (answering_) target_.echo("re:");
      return done();
    });
  }
  std::string hear(UdpPeer& client) {
    std::optional<UdpPeer::Heard> heard;
    until([&] { return heard || (heard = client.hear()); });
    return heard->text;
  }
  std::string ask(UdpPeer& client, const std::string& text) {
    client.send(text, here_);
    return hear(client);
  }

  asio::io_context context_;
  UdpPeer target_;
  bool answering_ = true;
  std::shared_ptr<TestTarget::Shared> shared_ =
      std::make_shared<TestTarget::Shared>(TestTarget::Shared{target_.local(), {}});
  std::unique_ptr<DatagramForward> forward_;
  std::optional<testing::Running<Result<void>>> running_;
  udp::endpoint here_;
};

TEST_F(DatagramForwardTest, CarriesDatagramsBothWays) {
  forward();
  UdpPeer client;
  EXPECT_EQ(ask(client, "one"), "re:one");
  EXPECT_EQ(ask(client, "two"), "re:two");
  EXPECT_EQ(ask(client, ""), "re:") << "an empty one is one, too";
  const std::string large(60000, 'x');
  EXPECT_EQ(ask(client, large), "re:" + large);
  const auto counters = forward_->counters();
  EXPECT_EQ(counters.flows_ever, 1);
  EXPECT_EQ(counters.flows_live, 1);
  EXPECT_EQ(counters.datagrams_out, 4);
  EXPECT_EQ(counters.datagrams_in, 4);
  EXPECT_EQ(counters.bytes_out, 60006);
  EXPECT_EQ(counters.bytes_in, 60006 + 12);
  EXPECT_EQ(counters.dropped, 0);
  EXPECT_EQ(forward_->name(), "udp 127.0.0.1:" + std::to_string(here_.port()));
}

TEST_F(DatagramForwardTest, EachClientIsAFlowOfItsOwn) {
  forward();
  std::vector<UdpPeer> clients(200);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    clients[i].send("a" + std::to_string(i), here_);
    clients[i].send("b" + std::to_string(i), here_);
  }
  for (std::size_t i = 0; i < clients.size(); ++i) {
    EXPECT_EQ(hear(clients[i]), "re:a" + std::to_string(i));
    EXPECT_EQ(hear(clients[i]), "re:b" + std::to_string(i));
    EXPECT_FALSE(clients[i].hear());
  }
  EXPECT_EQ(forward_->counters().flows_live, 200);
}

TEST_F(DatagramForwardTest, ARunStaysInOrderAndWhole) {
  forward();
  answering_ = false;
  auto client = net::connect_udp(here_).value();
  net::UdpOutbox outbox;
  std::deque<std::string> sent;
  for (int i = 0; i < 60; ++i) {
    sent.push_back(std::to_string(i) + std::string(i % 7 == 0 ? 20 : 100, 'x'));
    outbox.add(as_bytes(sent.back()), sent.back().size());
  }
  EXPECT_EQ(outbox.flush(client).datagrams, 60);
  std::vector<std::string> got;
  until([&] {
    for (auto& one : target_.hear_all()) got.push_back(std::move(one));
    return got.size() >= sent.size();
  });
  EXPECT_EQ(got, std::vector<std::string>(sent.begin(), sent.end()));
}

TEST_F(DatagramForwardTest, AnswersFromWhereTheClientWrote) {
  forward({}, {"0.0.0.0", "::"});
  for (const char* const at : {"127.0.0.1", "127.0.0.77", "::1"}) {
    UdpPeer client(udp_at(at));
    client.connect(udp_at(at, here_.port()));
    client.send("x", udp_at(at, here_.port()));
    EXPECT_EQ(hear(client), "re:x") << at;
  }
  UdpPeer client(udp_at("127.0.0.1"));
  for (const char* const at : {"127.0.0.8", "127.0.0.9"}) {  // one client, two flows
    client.send("x", udp_at(at, here_.port()));
    until([&] {
      const auto heard = client.hear();
      if (heard) EXPECT_EQ(heard->from.address().to_string(), at);
      return heard.has_value();
    });
  }
  EXPECT_EQ(forward_->counters().flows_live, 5);
}

TEST_F(DatagramForwardTest, SpeaksFromTheGivenSource) {
  forward({.source = udp_at("127.0.0.33")});
  answering_ = false;
  UdpPeer client;
  client.send("x", here_);
  std::optional<UdpPeer::Heard> heard;
  until([&] { return (heard = target_.hear()).has_value(); });
  EXPECT_EQ(heard->from.address().to_string(), "127.0.0.33");
}

TEST_F(DatagramForwardTest, TheTargetSeesTheClientsAddress) {
  if (!net::may_be_transparent()) GTEST_SKIP() << "needs a privilege";
  forward({.transparent = true});
  answering_ = false;
  UdpPeer client(udp_at("127.0.0.9"));
  client.send("x", here_);
  std::optional<UdpPeer::Heard> heard;
  until([&] { return heard || (heard = target_.hear()); });
  EXPECT_EQ(heard->from.address(), client.local().address());
  EXPECT_NE(heard->from.port(), client.local().port()) << "the client, on this machine, has that";
  target_.send("answer", heard->from);
  EXPECT_EQ(hear(client), "answer");
}

TEST_F(DatagramForwardTest, AnIdleFlowIsOver) {
  forward({.idle_time = milliseconds(200)});
  UdpPeer client;
  EXPECT_EQ(ask(client, "x"), "re:x");
  UdpPeer busy;
  until([&] {
    EXPECT_EQ(ask(busy, "y"), "re:y");
    return forward_->counters().flows_live == 1;
  });
  EXPECT_EQ(forward_->counters().flows_ever, 2) << "the busy one lives on";
  EXPECT_EQ(shared_->ended, std::vector{DatagramTarget::End::expired});
  until([&] { return forward_->counters().flows_live == 0; });
  EXPECT_EQ(ask(client, "x"), "re:x") << "and begins anew";
  EXPECT_EQ(forward_->counters().flows_evicted, 0);
}

TEST_F(DatagramForwardTest, TheOldestMakesRoom) {
  forward({.most_flows = 3});
  std::vector<UdpPeer> clients(4);
  for (std::size_t i : {0, 1, 2, 0, 3}) EXPECT_EQ(ask(clients[i], "x"), "re:x");
  EXPECT_EQ(forward_->counters().flows_evicted, 1);
  EXPECT_EQ(ask(clients[0], "x"), "re:x");
  EXPECT_EQ(forward_->counters().flows_ever, 4) << "0 was not the oldest";
  EXPECT_EQ(ask(clients[1], "x"), "re:x");
  EXPECT_EQ(forward_->counters().flows_ever, 5) << "1 was";
  EXPECT_EQ(forward_->counters().flows_live, 3);
}

TEST_F(DatagramForwardTest, MoreClientsInOneTurnThanThereMayBe) {
  forward({.most_flows = 2});
  std::vector<UdpPeer> clients(5);
  for (UdpPeer& client : clients) client.send("x", here_);
  EXPECT_EQ(hear(clients[4]), "re:x");
  const auto counters = forward_->counters();
  EXPECT_EQ(counters.flows_ever, 5);
  EXPECT_EQ(counters.flows_evicted, 3);
  EXPECT_EQ(counters.flows_live, 2);
  EXPECT_EQ(counters.datagrams_out + counters.dropped, 5);
}

TEST_F(DatagramForwardTest, AFlowWhoseTargetRefusesIsOver) {
  const auto nobody = UdpPeer().local();
  shared_->to = nobody;
  forward();
  UdpPeer client;
  client.send("x", here_);
  until([&] { return forward_->counters().flows_refused == 1; });
  EXPECT_EQ(forward_->counters().flows_live, 0);
  EXPECT_EQ(shared_->ended, std::vector{DatagramTarget::End::refused});
  shared_->to = target_.local();
  EXPECT_EQ(ask(client, "x"), "re:x") << "the next one goes to the new target";
}

TEST_F(DatagramForwardTest, TellsTheTargetOfTheFirstAnswerOfAFlow) {
  answering_ = false;
  forward();
  UdpPeer silent;
  silent.send("x", here_);
  until([&] { return target_.hear().has_value(); });
  EXPECT_EQ(shared_->answered, 0);
  answering_ = true;
  std::vector<UdpPeer> clients(2);
  for (int i = 0; i < 3; ++i)
    for (UdpPeer& client : clients) EXPECT_EQ(ask(client, "x"), "re:x");
  EXPECT_EQ(shared_->answered, 2);
  forward_->stop();
  EXPECT_EQ(shared_->ended, std::vector(3, DatagramTarget::End::cut)) << "that says nothing about the target";
}

TEST_F(DatagramForwardTest, AFlowLeavesATargetThatIsLost) {
  forward();
  std::vector<UdpPeer> clients(2);
  for (UdpPeer& client : clients) EXPECT_EQ(ask(client, "x"), "re:x");
  UdpPeer other;
  shared_->lost = target_.local();
  shared_->to = other.local();
  for (const char* const text : {"a", "b"}) clients[0].send(text, here_);
  std::vector<std::string> heard;
  until([&] {
    for (auto& one : other.hear_all()) heard.push_back(std::move(one));
    return heard.size() == 2;
  });
  EXPECT_EQ(heard, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(shared_->ended, std::vector{DatagramTarget::End::cut}) << "once, and of this client alone";
  EXPECT_EQ(forward_->counters().flows_ever, 3);
  EXPECT_EQ(forward_->counters().flows_live, 2);
  EXPECT_EQ(forward_->counters().dropped, 0);
}

TEST_F(DatagramForwardTest, NothingIsReadBeforeTheTargetIsKnown) {
  shared_->is_ready = false;
  forward();
  UdpPeer client;
  client.send("early", here_);
  context_.run_for(milliseconds(20));
  EXPECT_EQ(shared_->chosen, 0);
  shared_->is_ready = true;
  EXPECT_EQ(hear(client), "re:early");
  EXPECT_EQ(forward_->counters().dropped, 0);
}

TEST_F(DatagramForwardTest, WithoutATargetDatagramsAreDropped) {
  shared_->to = fail(Errc::not_found, "cannot resolve target: no such name");
  forward();
  UdpPeer client;
  for (int i = 0; i < 3; ++i) client.send("x", here_);
  until([&] { return forward_->counters().dropped == 3; });
  EXPECT_EQ(forward_->counters().flows_ever, 0);
  shared_->to = target_.local();
  EXPECT_EQ(ask(client, "x"), "re:x");
}

/// How many datagrams of 100 bytes a rate of 1,000 bytes a second lets pass since then, at most.
double most_of(std::chrono::steady_clock::time_point begin) {
  return 10 + 10 * std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

TEST_F(DatagramForwardTest, WhatIsAboveTheRateIsDropped) {
  const auto begin = std::chrono::steady_clock::now();
  forward({.rates = {.out = std::make_shared<Rate>(1000)}});
  std::vector<UdpPeer> clients(4);
  std::size_t heard = 0;
  for (UdpPeer& client : clients)
    for (int i = 0; i < 10; ++i) client.send(std::string(100, 'x'), here_);
  until([&] {
    for (UdpPeer& client : clients) heard += client.hear_all().size();
    const auto counters = forward_->counters();
    return counters.datagrams_out + counters.over_rate == 40 && heard == counters.datagrams_out;
  });
  const auto counters = forward_->counters();
  EXPECT_GE(counters.datagrams_out, 10) << "a second's worth at once";
  EXPECT_LE(counters.datagrams_out, most_of(begin));
  EXPECT_EQ(counters.bytes_out, 100 * counters.datagrams_out);
  EXPECT_EQ(counters.dropped, counters.over_rate);
  EXPECT_EQ(counters.datagrams_in, counters.datagrams_out) << "the way back has no rate";
}

TEST_F(DatagramForwardTest, AnswersAboveTheRateAreDropped) {
  const auto begin = std::chrono::steady_clock::now();
  forward({.rates = {.in = std::make_shared<Rate>(1000)}});
  UdpPeer client;
  const std::string question(97, 'x');
  for (int i = 0; i < 40; ++i) client.send(question, here_);
  std::size_t heard = 0;
  until([&] {
    heard += client.hear_all().size();
    const auto counters = forward_->counters();
    return counters.datagrams_in + counters.over_rate == 40 && heard == counters.datagrams_in;
  });
  EXPECT_EQ(forward_->counters().datagrams_out, 40);
  EXPECT_GE(heard, 10);
  EXPECT_LE(static_cast<double>(heard), most_of(begin));
}

TEST_F(DatagramForwardTest, StopEndsEverything) {
  forward();
  UdpPeer client;
  EXPECT_EQ(ask(client, "x"), "re:x");
  forward_->stop();
  EXPECT_TRUE(running_->wait());
  EXPECT_EQ(forward_->counters().flows_live, 0);
  EXPECT_EQ(shared_->ended.size(), 1);
  UdpPeer taker(here_);  // the port is free
  context_.restart();
  context_.run();  // and nothing is left to wait for
}

TEST_F(DatagramForwardTest, StopsWhileItsTargetIsNotReady) {
  shared_->is_ready = false;
  forward();
  UdpPeer client;
  client.send("x", here_);
  context_.run_for(milliseconds(10));
  forward_->stop();
  EXPECT_TRUE(running_->wait());
}

TEST_F(DatagramForwardTest, CancellationEndsIt) {
  forward();
  context_.run_for(milliseconds(10));
  running_->cancel();
  EXPECT_EQ(running_->wait().error().code, Errc::cancelled);
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* const folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

TEST_F(DatagramForwardTest, WithoutDescriptorsTheOldestMakesRoom) {
  forward();
  std::vector<UdpPeer> clients(20);
  struct Limit {
    explicit Limit(rlim_t most) {
      ::getrlimit(RLIMIT_NOFILE, &before);
      const rlimit now{most, before.rlim_max};
      ::setrlimit(RLIMIT_NOFILE, &now);
    }
    ~Limit() { ::setrlimit(RLIMIT_NOFILE, &before); }
    rlimit before{};
  };
  const Limit limit(open_descriptors() + 5);
  for (UdpPeer& client : clients) EXPECT_EQ(ask(client, "x"), "re:x");
  const auto counters = forward_->counters();
  EXPECT_EQ(counters.flows_ever, 20);
  EXPECT_GE(counters.flows_live, 1);
  EXPECT_LT(counters.flows_live, 10);
  EXPECT_EQ(counters.flows_evicted, 20 - counters.flows_live);
}

TEST_F(DatagramForwardTest, ForwardsShareALimitAndWhoHasMostMakesRoom) {
  const auto limit = std::make_shared<FlowLimit>(3, 1);
  forward({.limit = limit});
  std::vector<UdpPeer> clients(6);
  for (UdpPeer& client : clients) EXPECT_EQ(ask(client, "x"), "re:x");
  EXPECT_EQ(forward_->counters().flows_live, 4);
  EXPECT_EQ(forward_->counters().flows_evicted, 2);
  const auto first = std::move(forward_);
  const auto running = std::move(running_);
  forward({.limit = limit});
  EXPECT_EQ(ask(clients[0], "x"), "re:x");
  EXPECT_EQ(ask(clients[1], "x"), "re:x") << "which takes the place of its own forward's";
  EXPECT_EQ(forward_->counters().flows_live, 1);
  EXPECT_EQ(first->counters().flows_live, 3);
}

TEST_F(DatagramForwardTest, TenThousandFlows) {
  constexpr std::size_t kFlows = 10'000;
  forward();
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint16_t port = 20'000; port < 20'000 + kFlows / 100; ++port) {
    std::vector<UdpPeer> clients;  // gone before the next ones come: what counts is the flows
    for (int i = 1; i <= 100; ++i) {
      clients.emplace_back(udp_at("127.0.1." + std::to_string(i), port));
      clients.back().send("x", here_);
    }
    std::size_t answered = 0;
    until([&] {
      for (auto& client : clients) answered += client.hear_all().size();
      return answered == clients.size();
    });
  }
  const auto counters = forward_->counters();
  EXPECT_EQ(counters.flows_ever, kFlows);
  EXPECT_EQ(counters.flows_live, kFlows);
  EXPECT_EQ(counters.datagrams_in, kFlows);
  EXPECT_EQ(counters.dropped, 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

}  // namespace
}  // namespace culvert::relay
