// SPDX-License-Identifier: Apache-2.0
// The server, on one thread and on several, with clients of the same machine: logins with the host key's
// signature from another thread, and the forwards by the rules.
#include "engine/server/server.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <set>

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

#include "base/log.hpp"
#include "base/wire.hpp"
#include "crypto/base64.hpp"
#include "engine/connection/channel_stream.hpp"
#include "engine/connection/session_driver.hpp"
#include "engine/connection/socket_carrier.hpp"
#include "engine/server/own_privileges.hpp"
#include "net/connect.hpp"
#include "net/listener_set.hpp"
#include "net/worker_threads.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"
#include "tests/support/temp_dir.hpp"

namespace culvert::server {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using testing::run;

/// Logs in with a key, and keeps what the server says.
class TestClient {
 public:
  TestClient(asio::io_context& context, std::uint16_t port, const crypto::PrivateKey& key,
             std::optional<ssh::InstanceId> instance = std::nullopt)
      : context_(context), key_(key) {
    auto socket = run(context, net::connect_tcp({tcp::endpoint(asio::ip::address_v4::loopback(), port)}));
    ssh::SessionConfig config;
    config.user = "me";
    config.instance = instance;
    driver_ = std::make_shared<connection::SessionDriver>(
        std::make_unique<connection::SocketCarrier>(std::move(*socket)), std::move(config), random_);
    driver_->start([this](ssh::Event event) { std::visit([this](auto& one) { on(one); }, event); });
  }
  ~TestClient() {
    if (!over) driver_->stop("the test is over");
    testing::run_until(context_, [this] { return over; });
  }

  void login() {
    testing::run_until(context_, [this] { return logged_in || over; });
  }
  void wait_for_end() {
    testing::run_until(context_, [this] { return over; });
  }
  std::unique_ptr<connection::ChannelStream> open(std::uint16_t port) {
    auto stream = std::make_unique<connection::ChannelStream>(
        driver_, *driver_->session().open_direct_tcpip("127.0.0.1", port, "127.0.0.1", 1));
    driver_->after_command();
    return run(context_, stream->opened()) ? std::move(stream) : nullptr;
  }
  bool listen(std::uint16_t port) {
    reply.reset();
    Bytes data;
    Writer(data).text("localhost").u32(port);
    driver_->session().send_global_request("tcpip-forward", data, true, 1);
    driver_->after_command();
    testing::run_until(context_, [this] { return reply.has_value(); });
    return *reply;
  }
  /// At any port: which one; 0 if it was refused.
  std::uint32_t listen() { return listen(0) ? *Reader(reply_data).u32() : 0; }

  bool logged_in = false;
  bool over = false;
  std::optional<bool> reply;
  Bytes reply_data;

 private:
  void on(ssh::HostKeyOffered&) { driver_->session().accept_host_key(); }
  void on(ssh::AuthNext&) {
    if (tried_) return driver_->session().disconnect("refused");
    tried_ = true;
    driver_->session().try_public_key(key_.public_key(), "ssh-ed25519", true);
  }
  void on(ssh::UserSignatureWanted& wanted) {
    driver_->session().user_signature(*key_.sign(wanted.algorithm, wanted.message));
  }
  void on(ssh::Authenticated&) { logged_in = true; }
  void on(ssh::GlobalReply& answer) {
    reply = answer.success;
    reply_data = answer.data;
  }
  void on(ssh::GlobalRequested& request) {
    if (request.want_reply) driver_->session().reply_global(false, {});
  }
  void on(ssh::ChannelRequested& requested) {
    driver_->session().refuse_channel(requested.id, ssh::OpenFailure::connect_failed, "refused here");
  }
  void on(ssh::Disconnected&) { over = true; }
  template <class Event>
  void on(Event&) {}

  asio::io_context& context_;
  const crypto::PrivateKey& key_;
  crypto::SystemRandom random_;
  std::shared_ptr<connection::SessionDriver> driver_;
  bool tried_ = false;
};

/// With so many threads.
class ServerTest : public ::testing::TestWithParam<unsigned> {
 protected:
  ServerTest() {
    (void)set_up_log(LogLevel::error, "");
    let_in({&key_});
    options_.made_host_key = dir_.path() / "host_key";
    options_.host_key_files = {options_.made_host_key};
    options_.keys = {{"", dir_.path() / "keys"}};
  }
  ~ServerTest() override { stop(); }

  void stop() {
    if (!server_) return;
    server_->stop(Duration::zero());
    EXPECT_TRUE(running_->wait());
    workers_->stop();
    server_.reset();
  }

  void write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = dir_.path() / name;
    std::ofstream(path) << text;
    std::filesystem::permissions(path, std::filesystem::perms(0600));
  }
  void let_in(const std::vector<const crypto::PrivateKey*>& keys) {
    std::string lines;
    for (const auto* key : keys)
      lines += "ssh-ed25519 " + crypto::base64_encode(key->public_key().blob()) + " test\n";
    write("keys", lines);
  }
  std::uint16_t free_port() {
    return net::Listener::listen_tcp(context_.get_executor(), {asio::ip::address_v4::loopback(), 0})->port();
  }
  void serve(const std::string& rules) {
    write("rules", rules);
    options_.rules_file = dir_.path() / "rules";
    privileges_ = *OwnPrivileges::load(options_.host_key_files, options_.made_host_key);
    host_keys_ = *HostKeys::load(*privileges_, {});
    accounts_ = *Accounts::load(options_, *privileges_);
    workers_ = std::make_unique<net::WorkerThreads>(GetParam());
    server_ = std::make_unique<Server>(workers_->executors(context_.get_executor()), options_, *privileges_,
                                       *host_keys_, *accounts_, resolver_, random_);
    auto listeners =
        *net::listen_on_all(context_.get_executor(), {tcp::endpoint(asio::ip::address_v4::loopback(), 0)});
    port_ = listeners.front().port();
    workers_->start();
    running_.emplace(context_, server_->run(std::move(listeners)));
  }

  const crypto::PrivateKey key_ = crypto::PrivateKey::generate_ed25519();
  testing::TempDir dir_;
  net::Resolver resolver_;
  crypto::SystemRandom random_;
  ServerOptions options_;
  asio::io_context context_;
  std::unique_ptr<net::WorkerThreads> workers_;  // behind all that posts to them
  std::unique_ptr<OwnPrivileges> privileges_;
  std::unique_ptr<HostKeys> host_keys_;
  std::unique_ptr<Accounts> accounts_;
  std::unique_ptr<Server> server_;
  std::optional<testing::Running<Result<void>>> running_;
  std::uint16_t port_ = 0;
};

TEST_P(ServerTest, LetsInAndForwardsByTheRules) {
  auto target = *net::Listener::listen_tcp(context_.get_executor(), {asio::ip::address_v4::loopback(), 0});
  serve("[[user]]\nname = \"me\"\nconnect = [\"127.0.0.1:" + std::to_string(target.port()) +
        "\"]\nlisten = [\"1-65535\"]\n");
  TestClient client(context_, port_, key_);
  client.login();
  ASSERT_TRUE(client.logged_in);
  EXPECT_NE(client.open(target.port()), nullptr);
  EXPECT_EQ(client.open(static_cast<std::uint16_t>(target.port() ^ 1)), nullptr);
  const std::uint16_t port = free_port();
  EXPECT_TRUE(client.listen(port));
  EXPECT_FALSE(client.listen(port)) << "it is taken";
  TestClient second(context_, port_, key_);
  second.login();
  EXPECT_FALSE(second.listen(port)) << "its holder lives";
}

/// What many ports take long for, and threads change nothing of.
class ManyPorts : public ServerTest {};

// Whoever holds many of the ports, and what the rules refuse, is in nobody's way.
TEST_P(ManyPorts, AnyPortOfARange) {
  constexpr std::uint32_t kPorts = 400, kRefused = 101;
  const std::uint32_t first = 21000,
                      last = first + kPorts - 1;  // below what systems choose from
  const auto range = [](std::uint32_t from, std::uint32_t to) {
    return std::to_string(from) + '-' + std::to_string(to);
  };
  serve("[[user]]\nname = \"me\"\nlisten_default = \"127.0.0.77\"\nlisten = [\"" + range(first, last) +
        "\", \"!" + range(first, first + 99) + "\", \"!" + std::to_string(last) +
        "\"]\nmax_listeners = 1000\n");
  TestClient client(context_, port_, key_);
  client.login();
  std::set<std::uint32_t> ports;
  for (std::uint32_t i = 0; i < kPorts - kRefused; ++i) {
    const std::uint32_t port = client.listen();
    EXPECT_TRUE(port >= first + 100 && port < last) << port;
    ports.insert(port);
  }
  EXPECT_EQ(ports.size(), kPorts - kRefused);
  EXPECT_EQ(client.listen(), 0u) << "all are taken";
}

TEST_P(ServerTest, AnyPortButThoseThatTheSystemChoosesFrom) {
  serve("[[user]]\nname = \"me\"\nlisten = [\"*\", \"!*:30000-65535\"]\n");
  TestClient client(context_, port_, key_);
  client.login();
  const std::uint32_t port = client.listen();
  EXPECT_TRUE(port >= 1024 && port < 30000) << port;
}

// The listener is at all addresses or at none, and so is the refusal.
TEST_P(ServerTest, AnyPortIsNotOneThatIsRefusedAtOneAddress) {
  serve(
      "[[user]]\nname = \"me\"\nlisten_default = [\"127.0.0.77\", \"127.0.0.78\"]\n"
      "listen = [\"20990-20999\", \"!127.0.0.78:20990-20998\"]\n");
  TestClient client(context_, port_, key_);
  client.login();
  EXPECT_EQ(client.listen(), 20999u);
  EXPECT_EQ(client.listen(), 0u);
}

// What is asked for is the first one; ::1 beside 127.0.0.1 is as it comes.
TEST_P(ServerTest, TheFirstOfSeveralAddressesMustBeThere) {
  for (const auto& [addresses, listens] :
       {std::pair("\"192.0.2.9\", \"127.0.0.1\"", false), std::pair("\"127.0.0.1\", \"192.0.2.9\"", true)}) {
    serve("[[user]]\nname = \"me\"\nlisten_default = [" + std::string(addresses) + "]\nlisten = [\"*\"]\n");
    {
      TestClient client(context_, port_, key_);
      client.login();
      EXPECT_EQ(client.listen(free_port()), listens);
      EXPECT_EQ(client.listen() != 0, listens);
    }
    stop();
  }
}

constexpr std::string_view kMayListen = "[[user]]\nname = \"me\"\nlisten = [\"*\"]\n";

// Its old session answers, as one may that still has packets under way.
TEST_P(ServerTest, TheSameRunOfAClientTakesOverAtOnce) {
  serve(std::string(kMayListen) + "max_listeners = 1\n");
  const std::uint16_t port = free_port();
  TestClient first(context_, port_, key_, ssh::InstanceId{1});
  first.login();
  ASSERT_TRUE(first.listen(port));
  for (int i = 0; i < 3; ++i) {
    TestClient again(context_, port_, key_, ssh::InstanceId{1});
    again.login();
    EXPECT_TRUE(again.listen(port)) << i;
    first.wait_for_end();
  }
}

TEST_P(ServerTest, AnotherRunDoesNotTakeOverFromALiveOne) {
  serve(std::string(kMayListen));
  const std::uint16_t port = free_port();
  TestClient first(context_, port_, key_, ssh::InstanceId{1});
  first.login();
  ASSERT_TRUE(first.listen(port));
  for (const auto& other : {std::optional(ssh::InstanceId{2}), std::optional<ssh::InstanceId>()}) {
    TestClient second(context_, port_, key_, other);
    second.login();
    EXPECT_FALSE(second.listen(port));
  }
  EXPECT_FALSE(first.over);
}

TEST_P(ServerTest, AnInstanceIsWorthNothingWithAnotherKey) {
  const auto other = crypto::PrivateKey::generate_ed25519();
  let_in({&key_, &other});
  serve(std::string(kMayListen));
  const std::uint16_t port = free_port();
  TestClient first(context_, port_, key_, ssh::InstanceId{1});
  first.login();
  ASSERT_TRUE(first.listen(port));
  TestClient thief(context_, port_, other, ssh::InstanceId{1});
  thief.login();
  ASSERT_TRUE(thief.logged_in);
  EXPECT_FALSE(thief.listen(port));
  EXPECT_FALSE(first.over);
}

TEST_P(ServerTest, RefusesWhoIsNotKnown) {
  serve("");
  const auto stranger = crypto::PrivateKey::generate_ed25519();
  TestClient client(context_, port_, stranger);
  client.login();
  EXPECT_FALSE(client.logged_in);
}

// haproxy's `check send-proxy-v2` says LOCAL, connects and leaves.
TEST_P(ServerTest, ChecksOfAProxyAreNotHeldAgainstIt) {
  options_.proxies = {IpNetwork::parse("127.0.0.0/8").value()};
  serve("");
  const auto greeting = [this](std::string_view header) {
    auto socket = *run(context_, net::connect_tcp({tcp::endpoint(asio::ip::address_v4::loopback(), port_)}));
    EXPECT_EQ(net::try_write(socket.native_handle(), as_bytes(header)).bytes, header.size());
    std::array<char, 4> bytes = {};
    (void)run(context_, net::wait_readable(socket));
    const ssize_t size = ::recv(socket.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    return std::string(bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  };
  for (int i = 0; i < 30; ++i) ASSERT_EQ(greeting("PROXY UNKNOWN\r\n"), "SSH-") << i;
  const std::string_view somebody = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
  int heard = 0;
  while (heard < 30 && greeting(somebody) == "SSH-") ++heard;
  EXPECT_LT(heard, 30) << "who is known is";
}

TEST_P(ServerTest, EndsInTheMidstOfLoginsAndSessions) {
  serve("");
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(std::make_unique<TestClient>(context_, port_, key_));
    if (i % 2 == 0) clients.back()->login();
  }
  stop();
}

INSTANTIATE_TEST_SUITE_P(Threads, ServerTest, ::testing::Values(1U, 3U));
INSTANTIATE_TEST_SUITE_P(OneThread, ManyPorts, ::testing::Values(1U));

}  // namespace
}  // namespace culvert::server
