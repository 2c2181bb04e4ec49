// SPDX-License-Identifier: Apache-2.0
// Ways that do as they are told; those that there are meet routers in tests/python/test_open.py.
#include "engine/mapper/gateway.hpp"

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "base/log.hpp"
#include "engine/relay/signal.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::mapper {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

// What a way tells when it is asked for something, and what it was asked for.
struct Script {
  std::function<void(KeeperListener&)> begins, stops;
  std::optional<Error> fails;
  std::vector<std::string> asked = {};
  KeeperListener* listener = nullptr;
};

class Keeper final : public PortKeeper {
 public:
  Keeper(Script& script, KeeperListener& listener, const boost::asio::any_io_executor& executor)
      : script_(script), listener_(listener), changed_(executor) {
    script.listener = &listener;
  }
  [[nodiscard]] std::string name() const override { return "X"; }
  [[nodiscard]] relay::Task<Result<void>> run() override {
    if (script_.begins) script_.begins(listener_);
    while (!is_over_ && !script_.fails) co_await changed_.wait();
    if (script_.fails) co_return std::unexpected(*script_.fails);
    co_return Result<void>();
  }
  void stop() override {
    script_.asked.emplace_back("stop");
    if (script_.stops) {
      script_.stops(listener_);
      is_over_ = true;
    }
    changed_.wake();
  }
  void abandon() override {
    script_.asked.emplace_back("abandon");
    is_over_ = true;
    changed_.wake();
  }
  void refresh() override { script_.asked.emplace_back("refresh"); }

 private:
  Script& script_;
  KeeperListener& listener_;
  relay::Signal changed_;
  bool is_over_ = false;
};

const Opening kOpening = {*IpAddress::parse("203.0.113.5"), 80, hours(1)};

class GatewayOf : public ::testing::Test {
 protected:
  void make(std::size_t ports) {
    std::vector<Way> ways;
    for (Script& script : scripts_) {
      ways.emplace_back([this, &script](KeeperListener& listener) {
        return std::make_unique<Keeper>(script, listener, io_.get_executor());
      });
    }
    const net::DefaultRoute route = {boost::asio::ip::make_address("192.168.1.1"),
                                     boost::asio::ip::make_address("192.168.1.20"), "eth0", 2};
    std::vector<Port> wanted;
    for (std::size_t i = 0; i < ports; ++i)
      wanted.push_back(
          {.inside = static_cast<std::uint16_t>(80 + i), .outside = static_cast<std::uint16_t>(80 + i)});
    gateway_.emplace(route, wanted, std::move(ways), [] {}, io_.get_executor());
    running_.emplace(testing::start(io_, gateway_->run()));
  }
  void wait_for(const std::function<bool()>& done) { testing::run_until(io_, done); }
  // The lines that were written.
  std::string stop(Duration patience) {
    set_log_threshold(LogLevel::verbose);
    ::testing::internal::CaptureStderr();
    gateway_->stop(patience);
    running_->wait();
    set_log_threshold(LogLevel::notice);
    return ::testing::internal::GetCapturedStderr();
  }
  static bool has(const std::vector<std::string>& asked, const char* what) {
    return std::ranges::find(asked, what) != asked.end();
  }

  boost::asio::io_context io_;
  std::vector<Script> scripts_;
  std::optional<Gateway> gateway_;
  std::optional<testing::Running<void>> running_;
};

TEST_F(GatewayOf, WhoLosesTakesBackWhatItAskedFor) {
  scripts_ = {{.begins = {}, .stops = [](KeeperListener& tell) { tell.closed(0); }, .fails = {}},
              {.begins = [](KeeperListener& tell) { tell.opened(0, kOpening); }, .stops = {}, .fails = {}}};
  make(1);
  wait_for([&] { return has(scripts_[0].asked, "stop"); });
  EXPECT_FALSE(has(scripts_[0].asked, "abandon"));
  // It may have been the same port to the router.
  wait_for([&] { return has(scripts_[1].asked, "refresh"); });
  EXPECT_TRUE(gateway_->any_open());
  (void)stop(milliseconds(1));
}

TEST_F(GatewayOf, OnlyWhatTheRouterSaysIsClosedIsSaidToBe) {
  scripts_ = {{.begins =
                   [](KeeperListener& tell) {
                     for (std::size_t i = 0; i < 4; ++i) tell.opened(i, kOpening);
                     tell.opened(3, {kOpening.address, 83, Duration::zero()});
                   },
               .stops =
                   [](KeeperListener& tell) {
                     tell.closed(0);
                     tell.kept(1, std::nullopt, "it does not want to");
                   },
               .fails = {}}};
  make(4);
  wait_for([&] { return gateway_->any_open(); });
  const std::string text = stop(milliseconds(50));
  EXPECT_EQ(text.find(" is closed again"), text.rfind(" is closed again")) << text;
  for (const char* line : {"192.168.1.20:80 is closed again",
                           "192.168.1.20:81, which stays open for 60 min: it does not want to",
                           "192.168.1.20:82, which stays open for 60 min: no answer",
                           "192.168.1.20:83, which stays open until it is removed in the router's settings"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
}

TEST_F(GatewayOf, ARouterIsWaitedForAsLongAsItAnswers) {
  boost::asio::steady_timer timer(io_);
  std::size_t closed = 0;
  std::function<void()> next = [&] {
    timer.expires_after(milliseconds(60));
    timer.async_wait([&](const boost::system::error_code& error) {
      if (error) return;
      scripts_[0].listener->closed(closed);
      if (++closed < 4) next();
    });
  };
  scripts_ = {{.begins =
                   [](KeeperListener& tell) {
                     for (std::size_t i = 0; i < 5; ++i) tell.opened(i, kOpening);
                   },
               .stops = {},
               .fails = {}}};
  make(5);
  wait_for([&] { return gateway_->any_open(); });
  const Instant begin = monotonic_now();
  next();
  const std::string text = stop(milliseconds(150));
  EXPECT_EQ(closed, 4U);
  EXPECT_GE(monotonic_now() - begin, milliseconds(4 * 60 + 150));
  EXPECT_NE(text.find("192.168.1.20:83 is closed again"), std::string::npos) << text;
  EXPECT_NE(text.find("192.168.1.20:84, which stays open"), std::string::npos) << text;
}

TEST_F(GatewayOf, WhatIsOverIsNotStopped) {
  scripts_ = {{.begins = {}, .stops = {}, .fails = Error{Errc::denied, "no"}},
              {.begins = [](KeeperListener& tell) { tell.opened(0, kOpening); }, .stops = {}, .fails = {}}};
  make(1);
  wait_for([&] { return gateway_->any_open(); });
  (void)stop(milliseconds(1));
  EXPECT_FALSE(has(scripts_[0].asked, "stop"));
  EXPECT_TRUE(has(scripts_[1].asked, "stop"));
}

TEST_F(GatewayOf, WithoutAWinnerAllReasonsAreTold) {
  scripts_ = {{.begins = {}, .stops = {}, .fails = Error{Errc::denied, "no"}},
              {.begins = {}, .stops = {}, .fails = Error{Errc::denied, "never"}}};
  make(1);
  wait_for([&] { return gateway_->failure().has_value(); });
  EXPECT_EQ(gateway_->failure(), "X: no; X: never");
  (void)stop(milliseconds(1));
}

}  // namespace
}  // namespace culvert::mapper
