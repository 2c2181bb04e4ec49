// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/admission_source.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include <unistd.h>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "base/log.hpp"
#include "tests/support/pushed_source.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::relay {
namespace {

using testing::PushedSource;
using testing::run;
using testing::start;

using Refusals = std::map<std::string, Refusal>;

class Visitor final : public Pending {
 public:
  Visitor(Endpoint origin, Refusals& refusals) : origin_(std::move(origin)), refusals_(refusals) {}
  const std::optional<Endpoint>& destination() const override { return none_; }
  const Endpoint& origin() const override { return origin_; }
  std::unique_ptr<Stream> accept() override { return nullptr; }
  void refuse(Refusal reason) override { refusals_[who(origin_)] = reason; }
  static std::string who(const Endpoint& origin) {
    const auto* place = std::get_if<HostPort>(&origin);
    return place != nullptr ? place->host : "a Unix socket";
  }

 private:
  const std::optional<Endpoint> none_;
  const Endpoint origin_;
  Refusals& refusals_;
};

class AdmissionSourceTest : public ::testing::Test {
 protected:
  AdmissionSourceTest() { EXPECT_TRUE(set_up_log(LogLevel::notice, log_file)); }
  ~AdmissionSourceTest() override {
    (void)set_up_log(LogLevel::notice, "");
    std::filesystem::remove(log_file);
  }
  void make(AdmissionOptions options) {
    auto inner = std::make_unique<PushedSource>(context.get_executor(), "127.0.0.1:8080");
    pushed = inner.get();
    source = std::make_unique<AdmissionSource>(std::move(inner), std::move(options));
  }
  void come(std::string host) { come_from(HostPort{std::move(host), 40000}); }
  void come_from(Endpoint origin) { pushed->push(std::make_unique<Visitor>(std::move(origin), refusals)); }
  /// Who is let in next.
  std::string next() {
    const auto pending = run(context, source->next());
    return pending ? Visitor::who((*pending)->origin()) : pending.error().message;
  }
  [[nodiscard]] std::string logged() const {
    std::ifstream file(log_file);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  const std::string log_file =
      ::testing::TempDir() + "culvert-admission-" + std::to_string(::getpid()) + ".log";
  boost::asio::io_context context;
  Refusals refusals;
  PushedSource* pushed = nullptr;
  std::unique_ptr<AdmissionSource> source;
};

TEST_F(AdmissionSourceTest, LetsInWhoIsAllowed) {
  AccessList access;
  ASSERT_TRUE(access.add(AccessList::Answer::allow, "192.0.2.0/24"));
  make({.access = access});
  EXPECT_EQ(source->name(), "127.0.0.1:8080");
  come("198.51.100.7");
  come("192.0.2.1");
  come("192.0.2.2");
  EXPECT_EQ(next(), "192.0.2.1");
  EXPECT_EQ(next(), "192.0.2.2");
  EXPECT_EQ(refusals, (Refusals{{"198.51.100.7", Refusal::prohibited}}));
  EXPECT_TRUE(logged().ends_with("127.0.0.1:8080: refused 198.51.100.7:40000: not allowed from there\n"))
      << logged();
}

TEST_F(AdmissionSourceTest, RefusesWhoComesTooFast) {
  make({.streams = std::make_shared<Rate>(3)});
  for (const char* host : {"a", "b", "c", "d", "e"}) come(host);
  EXPECT_EQ(next(), "a");
  EXPECT_EQ(next(), "b");
  EXPECT_EQ(next(), "c");
  auto waiting = start(context, source->next());
  context.restart();
  context.poll();
  EXPECT_EQ(refusals, (Refusals{{"d", Refusal::overloaded}, {"e", Refusal::overloaded}}));
  EXPECT_FALSE(waiting.done());
  for (int i = 0; i < 1000 && !waiting.done(); ++i) {  // in a third of a second its time has come
    come("later");
    context.restart();
    context.run_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(waiting.wait());
}

TEST_F(AdmissionSourceTest, SeveralKeepToOneRateTogether) {
  const auto rate = std::make_shared<Rate>(1);
  make({.streams = rate});
  come("a");
  EXPECT_EQ(next(), "a");
  make({.streams = rate});
  come("b");
  auto waiting = start(context, source->next());
  context.restart();
  context.poll();
  EXPECT_FALSE(waiting.done());
  EXPECT_EQ(refusals["b"], Refusal::overloaded);
  EXPECT_NE(logged().find("refused b:40000: more than 1 new streams a second\n"), std::string::npos);
  source->stop();
  EXPECT_EQ(waiting.wait().error().code, Errc::cancelled);
}

TEST_F(AdmissionSourceTest, AFloodIsOneLineAndKeepsNobodyWaiting) {
  AccessList access;
  ASSERT_TRUE(access.add(AccessList::Answer::deny, "all"));
  make({.access = access});
  for (int i = 0; i < 10'000; ++i) come("192.0.2.1");
  auto waiting = start(context, source->next());
  context.restart();
  EXPECT_EQ(context.poll_one(), 1u);
  EXPECT_EQ(context.poll_one(), 1u) << "it gives others their turn";
  context.poll();
  EXPECT_FALSE(waiting.done());
  const std::string lines = logged();
  EXPECT_LE(std::count(lines.begin(), lines.end(), '\n'), 2) << lines;
  source->stop();
  (void)waiting.wait();
}

// A PROXY protocol header can name one, too.
TEST_F(AdmissionSourceTest, UnixSocketsAreLetInWhereOneIsListenedAt) {
  AccessList access;
  ASSERT_TRUE(access.add(AccessList::Answer::allow, "192.0.2.0/24"));
  for (const bool is_unix_socket : {false, true}) {
    refusals.clear();
    make({.access = access, .lets_in_unix_sockets = is_unix_socket});
    come_from(UnixPath{"/run/x"});
    come("198.51.100.1");
    come("192.0.2.1");
    if (is_unix_socket) EXPECT_EQ(next(), "a Unix socket");
    EXPECT_EQ(next(), "192.0.2.1");
    EXPECT_EQ(refusals.contains("a Unix socket"), !is_unix_socket);
    EXPECT_TRUE(refusals.contains("198.51.100.1"));
  }
}

}  // namespace
}  // namespace culvert::relay
