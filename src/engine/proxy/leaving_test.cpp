// SPDX-License-Identifier: Apache-2.0
// A client that leaves before its destination answers: a front under a forward, and a dialer in memory.
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <gtest/gtest.h>

#include "engine/proxy/front.hpp"
#include "engine/relay/forward.hpp"
#include "net/as_tuple.hpp"
#include "net/cancelled.hpp"
#include "tests/support/hearing_harness.hpp"

namespace culvert::proxy {
namespace {

namespace asio = boost::asio;
using namespace std::string_literals;
using testing::MemoryStream;
using testing::receive_all;
using testing::run;
using testing::start;

const std::string kConnect = "\x05\x01\x00\x05\x01\x00\x01\xC0\x00\x02\x01\x00\x50"s;
const std::string kConnected = "\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0"s;

/// Answers when the test says so.
class SlowDialer final : public relay::Dialer {
 public:
  explicit SlowDialer(const asio::any_io_executor& executor)
      : answer(executor, asio::steady_timer::time_point::max()) {}
  relay::Task<relay::Dialed> dial(const relay::Endpoint&, const relay::Visit&) override {
    ++dialing;
    if (!answers_at_once) (void)co_await answer.async_wait(net::kTuple);
    --dialing;
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state))
      co_return std::unexpected(relay::DialError{relay::Refusal::closed, "cancelled"});
    auto [here, there] = MemoryStream::make(answer.get_executor());
    far_end = std::move(there);
    co_return std::move(here);
  }

  asio::steady_timer answer;
  bool answers_at_once = false;
  int dialing = 0;
  std::unique_ptr<MemoryStream> far_end;
};

class LeavingTest : public testing::HearingHarness {
 protected:
  SlowDialer dialer{context.get_executor()};
  relay::Forward forward{std::make_unique<Front>(make_inner(), FrontOptions{}), dialer,
                         relay::ForwardOptions{}};
  testing::Running<Result<void>> running = start(context, forward.run());
};

TEST_F(LeavingTest, EndsTheDial) {
  for (const bool abort : {true, false}) {
    auto client = connect();
    send(*client, kConnect);
    settle();
    EXPECT_EQ(dialer.dialing, 1);
    abort ? client->abort() : client->close();
    settle();
    EXPECT_EQ(dialer.dialing, 0);
    EXPECT_EQ(forward.counters().dialing, 0U);
  }
  EXPECT_EQ(forward.counters().failed, 2U);
}

TEST_F(LeavingTest, WhoHadLeftIsNotDialedFor) {
  auto client = connect();
  send(*client, kConnect, true);
  settle();
  EXPECT_EQ(dialer.dialing, 0);
  EXPECT_EQ(forward.counters().failed, 1U);
}

TEST_F(LeavingTest, WhoHadEndedItsDirectionIsServedWhereNothingHasToBeWaitedFor) {
  dialer.answers_at_once = true;
  auto client = connect();
  send(*client, kConnect, true);
  settle();
  ASSERT_TRUE(dialer.far_end);
  EXPECT_EQ(run(context, receive_all(*dialer.far_end)).bytes, "");
  send(*dialer.far_end, "banner", true);
  EXPECT_EQ(run(context, receive_all(*client)).bytes, kConnected + "banner");
}

TEST_F(LeavingTest, WhoSaysMoreStays) {
  auto client = connect();
  send(*client, kConnect + "early", true);
  settle();
  EXPECT_EQ(dialer.dialing, 1);
  dialer.answer.cancel();
  settle();
  ASSERT_TRUE(dialer.far_end);
  EXPECT_EQ(run(context, receive_all(*dialer.far_end)).bytes, "early");
  dialer.far_end->end();
  EXPECT_EQ(run(context, receive_all(*client)).bytes, kConnected);
}

TEST_F(LeavingTest, AnEndOfTheForwardEndsTheDial) {
  auto client = connect();
  send(*client, kConnect);
  settle();
  forward.stop();
  EXPECT_EQ(run(context, forward.drain(Duration::zero())), 1U);
  EXPECT_EQ(dialer.dialing, 0);
  EXPECT_TRUE(run(context, receive_all(*client)).error);
}

}  // namespace
}  // namespace culvert::proxy
