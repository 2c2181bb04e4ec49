// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/datagram_target.hpp"

#include <atomic>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <gtest/gtest.h>

#include "net/udp_socket.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/udp_peer.hpp"

namespace culvert::relay {
namespace {

namespace asio = boost::asio;
using End = DatagramTarget::End;
using std::chrono::milliseconds;
using testing::udp_at;

/// A name whose answer the test changes. A look-up may outlive the resolver, which does not wait for it.
class Names {
  struct Answers {
    Result<std::vector<asio::ip::address>> next() {
      ++asked;
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return !is_silent; });
      if (addresses.empty()) return fail(Errc::not_found, "Name or service not known");
      return addresses;
    }

    std::atomic<int> asked{0};
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<asio::ip::address> addresses;
    bool is_silent = false;
  };
  std::shared_ptr<Answers> answers_ = std::make_shared<Answers>();

 public:
  net::Resolver resolver{2, 16,
                         [answers = answers_](const std::string&, net::Family) { return answers->next(); },
                         Duration::zero()};
  std::atomic<int>& asked = answers_->asked;

  void set(const std::vector<std::string>& addresses) {
    const std::lock_guard lock(answers_->mutex);
    answers_->addresses.clear();
    for (const auto& one : addresses) answers_->addresses.push_back(asio::ip::make_address(one));
  }
  void silence(bool is_silent) {
    const std::lock_guard lock(answers_->mutex);
    answers_->is_silent = is_silent;
    answers_->changed.notify_all();
  }
  ~Names() { silence(false); }
};

class ResolvedTargetTest : public ::testing::Test {
 protected:
  std::string choose(DatagramTarget& target) {
    const auto chosen = target.choose(udp_at("127.0.0.1", 40000));
    return chosen ? net::to_text(*chosen) : chosen.error().message;
  }
  void ready(DatagramTarget& target) { testing::run(context_, target.ready()); }
  template <class Done>
  void until(Done done) {
    testing::poll_until(context_, done);
  }

  asio::io_context context_;
  Names names_;
};

TEST_F(ResolvedTargetTest, AnAddressNeedsNoLookUp) {
  ResolvedTarget target({"127.0.0.2", 53}, names_.resolver);
  ready(target);
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  target.ended(udp_at("127.0.0.2", 53), End::refused);
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  EXPECT_EQ(names_.asked, 0);
  EXPECT_EQ(target.name(), "127.0.0.2:53");
}

TEST_F(ResolvedTargetTest, ANameIsLookedUpBeforeTheFirstFlow) {
  names_.set({"127.0.0.2", "127.0.0.3"});
  ResolvedTarget target({"db", 53}, names_.resolver);
  EXPECT_EQ(choose(target), "cannot resolve db: no answer yet");
  ready(target);
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  ready(target);
  EXPECT_EQ(names_.asked, 1) << "once";
}

TEST_F(ResolvedTargetTest, SaysWhyThereIsNoAddressAndAsksAgainLater) {
  ResolvedTarget target({"db", 53}, names_.resolver, {.again = milliseconds(20)});
  ready(target);
  EXPECT_EQ(choose(target), "cannot resolve db: Name or service not known");
  names_.set({"127.0.0.2"});
  until([&] {
    ready(target);
    return choose(target) == "127.0.0.2:53";
  });
}

TEST_F(ResolvedTargetTest, FollowsItsAddressWhileThereAreFlows) {
  names_.set({"127.0.0.2"});
  ResolvedTarget target({"db", 53}, names_.resolver, {.again = milliseconds(20)});
  ready(target);
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  names_.set({"127.0.0.3"});
  until([&] { return choose(target) == "127.0.0.3:53"; });
}

TEST_F(ResolvedTargetTest, AsksNobodyWhenThereAreNoFlows) {
  names_.set({"127.0.0.2"});
  ResolvedTarget target({"db", 53}, names_.resolver, {.again = milliseconds(5)});
  ready(target);
  context_.restart();
  context_.run();  // ends: nothing is waited for
  EXPECT_EQ(names_.asked, 1);
  names_.set({"127.0.0.3"});
  ready(target);
  EXPECT_EQ(choose(target), "127.0.0.3:53") << "an old answer is not fresh";
}

TEST_F(ResolvedTargetTest, KeepsItsAddressWhileTheNameHasIt) {
  names_.set({"127.0.0.2", "127.0.0.3"});
  ResolvedTarget target({"db", 53}, names_.resolver, {.again = milliseconds(5)});
  ready(target);
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  names_.set({"127.0.0.3", "127.0.0.2"});
  const int before = names_.asked;
  until([&] { return names_.asked >= before + 3; });
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  names_.set({});
  until([&] { return names_.asked >= before + 6; });
  EXPECT_EQ(choose(target), "127.0.0.2:53") << "an old answer is better than none";
}

TEST_F(ResolvedTargetTest, TakesTheNextAddressWhenOneRefuses) {
  names_.set({"127.0.0.2", "127.0.0.3"});
  ResolvedTarget target({"db", 53}, names_.resolver);
  ready(target);
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  target.ended(udp_at("127.0.0.2", 53), End::refused);
  target.ended(udp_at("127.0.0.2", 53), End::refused);
  EXPECT_EQ(choose(target), "127.0.0.3:53") << "both flows say the same";
  until([&] { return names_.asked == 2; });
}

TEST_F(ResolvedTargetTest, AClientGetsAnAddressOfItsFamilyIfItMust) {
  names_.set({"::1", "127.0.0.2"});
  ResolvedTarget any({"db", 53}, names_.resolver);
  ready(any);
  EXPECT_EQ(choose(any), "[::1]:53");
  ResolvedTarget same({"db", 53}, names_.resolver, {.same_family = true});
  ready(same);
  EXPECT_EQ(choose(same), "127.0.0.2:53");
  ResolvedTarget other({"::1", 53}, names_.resolver, {.same_family = true});
  EXPECT_EQ(choose(other), "::1 has no address of the visitor's family (127.0.0.1)");
}

TEST_F(ResolvedTargetTest, WaitsForASilentNameServerNoLongerThanItsPatience) {
  names_.set({"127.0.0.2"});
  ResolvedTarget target({"db", 53}, names_.resolver,
                        {.again = milliseconds(1), .patience = milliseconds(20)});
  ready(target);
  until([&] { return names_.asked == 1; });
  names_.silence(true);
  names_.set({"127.0.0.3"});
  std::this_thread::sleep_for(milliseconds(5));
  ready(target);
  EXPECT_EQ(choose(target), "127.0.0.2:53") << "an old answer is better than none";
  target.ended(udp_at("127.0.0.2", 53), End::expired);
  const Instant begin = monotonic_now();
  for (int i = 0; i < 100; ++i) ready(target);
  EXPECT_LT(monotonic_now() - begin, milliseconds(1000)) << "it is the look-up's time, not each flow's";
  names_.silence(false);
  until([&] { return choose(target) == "127.0.0.3:53"; });
}

TEST_F(ResolvedTargetTest, OneOfSeveralIsEnough) {
  names_.silence(true);
  net::Resolver other{1, 4, [](const std::string&, net::Family) -> Result<std::vector<asio::ip::address>> {
                        return std::vector{asio::ip::make_address("127.0.0.2")};
                      }};
  std::vector<std::unique_ptr<ResolvedTarget>> targets;
  targets.push_back(std::make_unique<ResolvedTarget>(HostPort{"silent", 53}, names_.resolver));
  targets.push_back(std::make_unique<ResolvedTarget>(HostPort{"db", 53}, other));
  testing::run(context_, ResolvedTarget::any_ready(targets));
  EXPECT_FALSE(targets[0]->is_known());
  EXPECT_EQ(choose(*targets[1]), "127.0.0.2:53");
  names_.set({"127.0.0.3"});
  names_.silence(false);
  until([&] { return choose(*targets[0]) == "127.0.0.3:53"; });
}

TEST_F(ResolvedTargetTest, WithErrorsAloneAllHaveToHaveOne) {
  std::vector<std::unique_ptr<ResolvedTarget>> targets;
  for (const char* const host : {"db", "other"})
    targets.push_back(std::make_unique<ResolvedTarget>(HostPort{host, 53}, names_.resolver));
  testing::run(context_, ResolvedTarget::any_ready(targets));
  for (const auto& target : targets) EXPECT_TRUE(target->is_known());
}

TEST_F(ResolvedTargetTest, LooksUpWhenAFlowBeginsThoughNobodyWaited) {
  names_.set({"127.0.0.2"});
  std::vector<std::unique_ptr<ResolvedTarget>> targets;
  targets.push_back(std::make_unique<ResolvedTarget>(HostPort{"127.0.0.9", 53}, names_.resolver));
  targets.push_back(std::make_unique<ResolvedTarget>(HostPort{"db", 53}, names_.resolver,
                                                     ResolvedTargetOptions{.again = milliseconds(5)}));
  testing::run(context_, ResolvedTarget::any_ready(targets));
  until([&] { return targets[1]->is_known(); });
  context_.restart();
  context_.run();  // ends: it has no flows
  names_.set({"127.0.0.3"});
  EXPECT_EQ(choose(*targets[1]), "127.0.0.2:53");
  until([&] { return choose(*targets[1]) == "127.0.0.3:53"; });
}

TEST_F(ResolvedTargetTest, GoesToNoAddressThatIsNotPermitted) {
  const auto no_loops = [](std::string_view, std::uint16_t port, const std::optional<IpAddress>& to) {
    const bool is_own = port == 53 && to && to->text() == "127.0.0.9";
    return files::Decision{.allowed = !is_own, .reason = is_own ? "a loop" : "", .rule = {}};
  };
  names_.set({"127.0.0.9", "127.0.0.2"});
  ResolvedTarget target({"db", 53}, names_.resolver, {.again = milliseconds(5), .judge = no_loops});
  ready(target);
  EXPECT_EQ(choose(target), "127.0.0.2:53");
  names_.set({"127.0.0.9"});
  until([&] { return choose(target) == "a loop"; });
  const int before = names_.asked;
  names_.set({"127.0.0.3"});
  until([&] {
    ready(target);
    return choose(target) == "127.0.0.3:53";
  });
  EXPECT_GT(names_.asked, before);
}

TEST_F(ResolvedTargetTest, StopsWhileANameIsSilent) {
  std::promise<void> release;
  net::Resolver silent(1, 16, [&](const std::string&, net::Family) -> Result<std::vector<asio::ip::address>> {
    release.get_future().wait();
    return fail(Errc::not_found, "none");
  });
  {
    ResolvedTarget target({"db", 53}, silent);
    auto waiting = testing::start(context_, target.ready());
    context_.run_for(milliseconds(10));
    EXPECT_FALSE(waiting.done());
    target.stop();
    waiting.wait();
  }
  context_.restart();
  context_.run();  // ends
  release.set_value();
}

}  // namespace
}  // namespace culvert::relay
