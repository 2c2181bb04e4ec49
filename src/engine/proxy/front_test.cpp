// SPDX-License-Identifier: Apache-2.0
// The front between clients in memory and whoever takes its pendings.
#include "engine/proxy/front.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/hearing_harness.hpp"

namespace culvert::proxy {
namespace {

using namespace std::string_literals;
using relay::HostPort;
using relay::Refusal;
using testing::MemoryStream;
using testing::receive_all;
using testing::run;
using testing::send_all;
using testing::start;

const std::string kAsk =
    "\x05\x01\x00\x05\x01\x00\x03\x02"
    "db\x00\x50"s;
const std::string kBind = "\x05\x01\x00\x05\x02\x00\x01\xC0\x00\x02\x01\x00\x50"s;
const std::string kChosen = "\x05\x00"s;
const std::string kServed = "\x05\x00\x00\x01\0\0\0\0\0\0"s;

class FrontTest : public testing::HearingHarness {
 protected:
  void make(FrontOptions options = {}) { source = std::make_unique<Front>(make_inner(), std::move(options)); }
};

TEST_F(FrontTest, ServesAClientAndKeepsEarlyData) {
  for (const std::size_t read_size : {1, 3, 1000}) {
    make();
    auto client = connect({.read_size = read_size, .view_size = 2});
    send(*client, kAsk + "early data", true);
    auto pending = next();
    EXPECT_EQ(pending->destination(), relay::Endpoint(HostPort{"db", 80}));
    EXPECT_EQ(to_string(pending->origin()), "127.0.0.1:40000");
    EXPECT_EQ(receive(*client, 2), kChosen);
    auto reading = start(context, receive_all(*client, kServed.size()));
    settle();
    EXPECT_FALSE(reading.done());  // nothing is said before the destination is reached
    ASSERT_NE(pending->negotiation(), nullptr);
    EXPECT_FALSE(pending->negotiation()->wants_listener());
    EXPECT_TRUE(run(context, pending->negotiation()->tell_connected(HostPort{})));
    auto stream = pending->accept();
    EXPECT_EQ(reading.wait().bytes, kServed);
    const auto received = run(context, receive_all(*stream));
    EXPECT_EQ(received.bytes, "early data");
    EXPECT_FALSE(received.error);
    EXPECT_TRUE(run(context, send_all(*stream, "answer")));
    EXPECT_EQ(run(context, receive_all(*client)).bytes, "answer");
  }
}

TEST_F(FrontTest, TellsFromWhereTheDestinationIsReached) {
  make();
  for (const auto& [here, told] :
       {std::pair(HostPort{"192.0.2.7", 0x1234}, "\x01\xC0\x00\x02\x07\x12\x34"s),
        std::pair(HostPort{"fe80::1%lo", 0x1234}, "\x04\xFE\x80" + std::string(13, '\0') + "\x01\x12\x34")}) {
    auto client = connect();
    send(*client, kAsk);
    auto pending = next();
    EXPECT_TRUE(run(context, pending->negotiation()->tell_connected(here)));
    EXPECT_EQ(receive(*client, 5 + told.size()), kChosen + "\x05\x00\x00"s + told);
  }
}

TEST_F(FrontTest, EachRefusalHasItsReplyAndThenTheEnd) {
  const std::pair<Refusal, int> rows[] = {
      {Refusal::prohibited, 2},          {Refusal::unreachable, 4}, {Refusal::connection_refused, 5},
      {Refusal::timed_out, 6},           {Refusal::unsupported, 7}, {Refusal::overloaded, 1},
      {Refusal::network_unreachable, 3},
  };
  make();
  for (const auto& [reason, code] : rows) {
    auto client = connect();
    send(*client, kAsk + "more than it reads");
    next()->refuse(reason);
    const auto received = run(context, receive_all(*client));
    EXPECT_EQ(received.bytes, kChosen + "\x05" + static_cast<char>(code) + kServed.substr(2));
    EXPECT_FALSE(received.error);
  }
  auto client = connect();
  send(*client, kAsk);
  (void)next();  // dropped: all is over
  EXPECT_TRUE(run(context, receive_all(*client)).error);
}

TEST_F(FrontTest, AnAnswerThatIsNotTakenAtOnceFollows) {
  make({.accounts = nullptr, .patience = std::chrono::seconds(60), .limit = 10});
  for (const bool served : {true, false}) {
    auto client = connect({.capacity = 3, .write_size = 2});
    send(*client, kAsk);
    auto pending = next();
    const auto negotiation = pending->negotiation();
    std::optional<testing::Running<Result<void>>> telling;
    if (served) {
      telling.emplace(start(context, negotiation->tell_connected(HostPort{})));
      settle();
      EXPECT_FALSE(telling->done());
    } else {
      pending->refuse(Refusal::connection_refused);
    }
    EXPECT_EQ(receive(*client, 12), kChosen + (served ? kServed : "\x05\x05" + kServed.substr(2)));
    if (telling) EXPECT_TRUE(telling->wait());
    if (!served) EXPECT_FALSE(run(context, receive_all(*client)).error);
  }
}

TEST_F(FrontTest, WhoTakesNoAnswerIsCutOff) {
  make({.accounts = nullptr, .patience = std::chrono::milliseconds(200), .limit = 10});
  for (const bool served : {true, false}) {
    auto client = connect({.capacity = 2});
    send(*client, kAsk);
    auto pending = next();
    if (served) {
      EXPECT_FALSE(run(context, pending->negotiation()->tell_connected(HostPort{})));
      pending->refuse(Refusal::closed);
    } else {
      pending->refuse(Refusal::unreachable);
      context.restart();
      context.run_for(std::chrono::milliseconds(300));
    }
    EXPECT_TRUE(run(context, receive_all(*client)).error);
  }
}

TEST_F(FrontTest, ASilentClientHoldsUpNoOtherAndIsCutOff) {
  make({.accounts = nullptr, .patience = std::chrono::milliseconds(300), .limit = 10});
  auto silent = connect();
  auto slow = connect();
  auto first = start(context, source->next());
  settle();
  send(*slow, kAsk.substr(0, 5));
  auto client = connect();
  send(*client, kAsk);
  EXPECT_TRUE(first.wait());
  EXPECT_EQ(run(context, receive_all(*silent)).bytes, "");
  const auto received = run(context, receive_all(*slow));
  EXPECT_EQ(received.bytes, kChosen);
  EXPECT_FALSE(received.error);
}

TEST_F(FrontTest, ManyWhoSayNothingDoNotKeepOthersOut) {
  make({.accounts = nullptr, .patience = std::chrono::hours(1), .limit = 5});
  auto taking = start(context, source->next());
  std::vector<std::unique_ptr<MemoryStream>> silent;
  for (int i = 0; i < 20; ++i) silent.push_back(connect());
  settle();
  EXPECT_EQ(run(context, receive_all(*silent.front())).error->code, Errc::reset);
  auto client = connect();
  send(*client, kAsk);
  EXPECT_TRUE(taking.wait());
  auto youngest = start(context, receive_all(*silent.back()));
  settle();
  EXPECT_FALSE(youngest.done());
}

TEST_F(FrontTest, RequestsThatNobodyTakesAreBounded) {
  make({.accounts = nullptr, .patience = std::chrono::hours(1), .limit = 3});
  auto first = connect();
  send(*first, kAsk);
  (void)next();
  std::vector<std::unique_ptr<MemoryStream>> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(connect());
    send(*clients.back(), kAsk);
  }
  settle();
  std::vector<std::unique_ptr<relay::Pending>> pendings;
  for (int i = 0; i < 10; ++i) pendings.push_back(next());  // none was pushed out
  for (auto& pending : pendings) pending->refuse(Refusal::unreachable);
}

TEST_F(FrontTest, GarbageEndsInOrder) {
  make();
  auto taking = start(context, source->next());
  for (const auto& [text, answer] :
       {std::pair{"\x16\x03\x01"s, ""s}, {"\x05\x01\x02"s, "\x05\xFF"s}, {""s, ""s}}) {
    auto client = connect();
    send(*client, text, text.empty());
    const auto received = run(context, receive_all(*client));
    EXPECT_EQ(received.bytes, answer);
    EXPECT_FALSE(received.error);
  }
  EXPECT_FALSE(taking.done());
}

TEST_F(FrontTest, AccountsAreAskedFor) {
  make({.accounts = std::make_shared<const socks::Accounts>(socks::Accounts::parse("ann:secret").value())});
  auto taking = start(context, source->next());
  auto without = connect();
  send(*without, kAsk);
  EXPECT_EQ(run(context, receive_all(*without)).bytes, "\x05\xFF"s);
  auto with = connect();
  send(*with,
       "\x05\x01\x02\x01\x03"
       "ann\x06secret"s +
           kAsk.substr(3));
  const auto pending = taking.wait();
  EXPECT_TRUE(pending);
  EXPECT_EQ(receive(*with, 4), "\x05\x02\x01\x00"s);
}

TEST_F(FrontTest, BindTellsTwice) {
  make();
  auto client = connect();
  send(*client, kBind);
  auto pending = next();
  auto* negotiation = pending->negotiation();
  EXPECT_TRUE(negotiation->wants_listener());
  EXPECT_TRUE(run(context, negotiation->tell_listening(HostPort{"10.0.0.1", 0x1234})));
  EXPECT_EQ(receive(*client, 12), kChosen + "\x05\x00\x00\x01\x0A\x00\x00\x01\x12\x34"s);
  EXPECT_TRUE(negotiation->expects(HostPort{"192.0.2.1", 1}));
  EXPECT_TRUE(negotiation->expects(HostPort{"::ffff:192.0.2.1", 1}));
  EXPECT_FALSE(negotiation->expects(HostPort{"192.0.2.2", 80}));
  EXPECT_FALSE(negotiation->expects(relay::UnixPath{"/x"}));
  auto watching = start(context, negotiation->gone());
  send(*client, "early");
  settle();
  EXPECT_FALSE(watching.done());
  watching.cancel();
  watching.wait();
  EXPECT_TRUE(run(context, negotiation->tell_arrived(HostPort{"::1", 2})));
  EXPECT_EQ(receive(*client, 22), "\x05\x00\x00\x04"s + std::string(15, '\0') + "\x01\x00\x02"s);
  EXPECT_EQ(run(context, receive_all(*pending->accept(), 5)).bytes, "early");
}

TEST_F(FrontTest, AClientThatLeavesIsSeen) {
  make();
  for (const bool abort : {true, false}) {
    auto client = connect();
    send(*client, kBind);
    auto pending = next();
    EXPECT_TRUE(run(context, pending->negotiation()->tell_listening(HostPort{"", 1})));
    auto watching = start(context, pending->negotiation()->gone());
    settle();
    EXPECT_FALSE(watching.done());
    abort ? client->abort() : client->close();
    watching.wait();
  }
}

TEST_F(FrontTest, StopCutsOffAndNextReturns) {
  make();
  auto taking = start(context, source->next());
  auto silent = connect();
  settle();
  source->stop();
  EXPECT_EQ(taking.wait().error().code, Errc::cancelled);
  EXPECT_TRUE(run(context, receive_all(*silent)).error);
  source->stop();
}

TEST_F(FrontTest, EndsWithItsSource) {
  make();
  EXPECT_EQ(source->name(), "127.0.0.1:1080");
  inner->fail_with({Errc::closed, "the session is over"});
  EXPECT_EQ(run(context, source->next()).error().message, "the session is over");
}

}  // namespace
}  // namespace culvert::proxy
