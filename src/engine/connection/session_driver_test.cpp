// SPDX-License-Identifier: Apache-2.0
#include "engine/connection/session_driver.hpp"

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <gtest/gtest.h>

#include "crypto/key_algorithms.hpp"
#include "net/as_tuple.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/support/test_keys.hpp"

namespace culvert::connection {
namespace {

namespace asio = boost::asio;

constexpr auto kAskedAfter = std::chrono::milliseconds(300);

// What the test says is what the driver reads.
struct Line {
  explicit Line(asio::io_context& context)
      : executor(context.get_executor()), arrived(context, asio::steady_timer::time_point::max()) {}

  void say(ByteView bytes) {
    say_unseen(bytes);
    arrived.cancel();
  }
  // It is there, but nobody has told the driver yet.
  void say_unseen(ByteView bytes) { in.insert(in.end(), bytes.begin(), bytes.end()); }

  asio::any_io_executor executor;
  asio::steady_timer arrived;
  Bytes in, out;
  int acknowledged = 0;
  std::vector<std::size_t> asked;  ///< room for so much at a time
};

class ScriptedCarrier final : public Carrier {
 public:
  explicit ScriptedCarrier(Line& line) : line_(line) {}

  asio::any_io_executor executor() override { return line_.executor; }
  net::Transferred read(MutableBytes into) override {
    line_.asked.push_back(into.size());
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
      if (std::holds_alternative<ssh::UserOffered>(event)) driver->session().accept_user();
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
    while (const auto event = client.next_event()) {
      if (std::holds_alternative<ssh::HostKeyOffered>(*event)) client.accept_host_key();
      if (std::holds_alternative<ssh::AuthNext>(*event))
        client.try_public_key(test::user_key().public_key(), "ssh-ed25519", false);
      if (const auto* wanted = std::get_if<ssh::UserSignatureWanted>(&*event)) {
        client.user_signature(
            *test::user_key().sign(crypto::signature_of(wanted->algorithm), wanted->message));
      }
    }
  }
  void say_requests(int count, std::size_t size) {
    const Bytes data(size);
    for (int i = 0; i < count; ++i) (void)client.send_global_request("nothing@example.com", data, false, 0);
    line.asked.clear();
    say();
    EXPECT_TRUE(line.in.empty());
  }
  void log_in() {
    for (int i = 0; i < 20 && !client.is_authenticated(); ++i) {
      say();
      hear();
    }
    ASSERT_TRUE(client.is_authenticated());
  }

  static ssh::SessionConfig config(ssh::Role role) {
    ssh::SessionConfig config;
    config.role = role;
    config.user = "somebody";
    if (role == ssh::Role::client) return config;
    config.host_keys = {test::host_key().public_key()};
    config.timing.keepalive_interval = kAskedAfter;
    config.timing.keepalive_count = 1;
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

// As after a SIGSTOP: its timers have expired, and the answer is in the socket.
TEST_F(SessionDriverTest, HearsWhatHasComeBeforeItJudgesSilence) {
  log_in();
  testing::run_until(context, [&] { return !line.out.empty(); });  // it asks whether we live
  hear();
  const ByteView answer = client.output();
  ASSERT_FALSE(answer.empty());
  line.say_unseen(answer);
  client.consume_output(answer.size(), monotonic_now());
  std::this_thread::sleep_for(kAskedAfter + std::chrono::milliseconds(100));
  context.restart();
  context.poll();
  EXPECT_FALSE(driver->is_over());
  EXPECT_TRUE(line.in.empty());
}

// The others of a server wait for all that was read.
TEST_F(SessionDriverTest, ReadsLittleWhereThatIsManyMessages) {
  log_in();
  say_requests(2'000, 1);
  EXPECT_LE(line.asked.back(), 16 * 1024u);
  say_requests(200, 16 * 1024);
  EXPECT_EQ(line.asked.back(), 256 * 1024u);
}

TEST_F(SessionDriverTest, EndsWhatStaysSilent) {
  log_in();
  testing::run_until(context, [&] { return driver->is_over(); });
  EXPECT_EQ(testing::run(context, driver->over()).code, Errc::timed_out);
}

}  // namespace
}  // namespace culvert::connection
