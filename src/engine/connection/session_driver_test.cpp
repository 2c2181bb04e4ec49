// SPDX-License-Identifier: Apache-2.0
#include "engine/connection/session_driver.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <gtest/gtest.h>

#include "net/as_tuple.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/support/test_keys.hpp"

namespace culvert::connection {
namespace {

namespace asio = boost::asio;

// What the test says is what the driver reads.
struct Line {
  explicit Line(asio::io_context& context)
      : executor(context.get_executor()), arrived(context, asio::steady_timer::time_point::max()) {}

  void say(ByteView bytes) {
    in.insert(in.end(), bytes.begin(), bytes.end());
    arrived.cancel();
  }

  asio::any_io_executor executor;
  asio::steady_timer arrived;
  Bytes in, out;
  int acknowledged = 0;
};

class ScriptedCarrier final : public Carrier {
 public:
  explicit ScriptedCarrier(Line& line) : line_(line) {}

  asio::any_io_executor executor() override { return line_.executor; }
  net::Transferred read(MutableBytes into) override {
    if (line_.in.empty()) return {0, EAGAIN};
    const std::size_t count = std::min(into.size(), line_.in.size());
    std::copy_n(line_.in.begin(), count, into.begin());
    line_.in.erase(line_.in.begin(), line_.in.begin() + static_cast<std::ptrdiff_t>(count));
    return {count, 0};
  }
  net::Transferred write(ByteView bytes) override {
    line_.out.insert(line_.out.end(), bytes.begin(), bytes.end());
    return {bytes.size(), 0};
  }
  relay::Task<void> readable() override {
    if (line_.in.empty()) (void)co_await line_.arrived.async_wait(net::kTuple);
  }
  void when_writable(std::function<void()> go_on) override { go_on(); }
  void cancel() override { line_.arrived.cancel(); }
  void close() override {}
  bool fills_by_itself() const override { return true; }
  void acknowledge_now() override { ++line_.acknowledged; }

 private:
  Line& line_;
};

// A server's driver, and a client's machine that speaks with it.
class SessionDriverTest : public ::testing::Test {
 protected:
  SessionDriverTest() {
    driver->start([this](const ssh::Event& event) {
      if (const auto* wanted = std::get_if<ssh::HostSignatureWanted>(&event))
        driver->session().host_signature(*test::host_key().sign(wanted->algorithm, wanted->message));
    });
    context.poll();
  }
  ~SessionDriverTest() override {
    driver->stop("the test is over");
    (void)testing::run(context, driver->over());
  }

  // Says all that the client has to say.
  void say() {
    const ByteView bytes = client.output();
    line.say(bytes);
    client.consume_output(bytes.size(), monotonic_now());
    context.restart();
    context.poll();
  }
  void hear() {
    const MutableBytes room = client.prepare(line.out.size()).first(line.out.size());
    std::ranges::copy(line.out, room.begin());
    client.commit(std::exchange(line.out, {}).size(), monotonic_now());
    while (client.next_event()) {
    }
  }

  static ssh::SessionConfig config(ssh::Role role) {
    ssh::SessionConfig config;
    config.role = role;
    config.user = "somebody";
    if (role == ssh::Role::server) config.host_keys = {test::host_key().public_key()};
    return config;
  }

  asio::io_context context;
  Line line{context};
  test::SeededRandom random{1}, client_random{2};
  ssh::Session client{config(ssh::Role::client), client_random, monotonic_now()};
  std::shared_ptr<SessionDriver> driver = std::make_shared<SessionDriver>(
      std::make_unique<ScriptedCarrier>(line), config(ssh::Role::server), random);
};

TEST_F(SessionDriverTest, AcknowledgesWhatNoAnswerCarries) {
  const std::size_t hello = line.out.size();
  say();  // who it is and what it can: what the server has to say to that, it has said
  EXPECT_EQ(line.out.size(), hello);
  EXPECT_EQ(line.acknowledged, 1);
  hear();
  say();  // its part of the key exchange
  EXPECT_FALSE(line.out.empty());
  EXPECT_EQ(line.acknowledged, 1) << "the answer has";
}

}  // namespace
}  // namespace culvert::connection
