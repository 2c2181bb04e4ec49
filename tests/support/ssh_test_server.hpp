// SPDX-License-Identifier: Apache-2.0
// An SSH server on a loopback port, on the test's own io_context: one user, one key, and destinations that
// are names of behaviours. Its machine is the one under test in the server's role.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "crypto/private_key.hpp"
#include "engine/connection/channel_stream.hpp"
#include "engine/connection/session_driver.hpp"
#include "engine/connection/socket_carrier.hpp"
#include "net/listener.hpp"
#include "tests/support/stream_io.hpp"

namespace culvert::testing {

/// What the destinations send and expect.
inline std::string test_bytes(std::size_t size) { return pattern(size, 7); }

/// Destinations (direct-tcpip host names):
///   echo       sends back what it gets, and ends when the client ends
///   discard    takes all, then says how many bytes that were, and ends
///   greeting   sends "hello" at once and ends; reads nothing
///   source     sends as many of test_bytes() as the port says, times 1024
///   report     reads all, and keeps what it was and how it ended for reports()
///   hang-up    closes without an EOF, behind "last words"
///   stuck      opens, and never reads
///   refused, prohibited, no-name    refuse as OpenSSH does
///   silent     never answers the open
///   late       ends the session in place of the first answer, then as echo
class SshTestServer {
 public:
  struct Options {
    ssh::SessionConfig session = {};
    std::string user = "somebody";
    bool closes_at_login = false;  // whoever it is
    /// The answer to each request to listen; none: it refuses.
    std::function<void(connection::SessionDriver&)> on_listen = {};
  };

  static const crypto::PrivateKey& host_key() {
    static const auto key = crypto::PrivateKey::generate_ed25519();
    return key;
  }

  SshTestServer(boost::asio::io_context& context, crypto::PublicKey user_key)
      : SshTestServer(context, std::move(user_key), Options()) {}
  SshTestServer(boost::asio::io_context& context, crypto::PublicKey user_key, Options options)
      : state_(std::make_shared<State>(context, std::move(user_key), std::move(options))) {
    boost::asio::co_spawn(context, accept_all(state_), boost::asio::detached);
  }
  SshTestServer(const SshTestServer&) = delete;
  SshTestServer& operator=(const SshTestServer&) = delete;
  ~SshTestServer() {
    state_->listener.close();
    disconnect_all();
  }

  [[nodiscard]] std::uint16_t port() const { return state_->listener.port(); }
  /// How many channels were asked for by one of these destinations.
  [[nodiscard]] std::size_t requested() const { return state_->requested; }
  [[nodiscard]] std::size_t sessions() const { return state_->drivers.size(); }
  /// Which runs of a client its clients said they are.
  [[nodiscard]] const std::vector<ssh::InstanceId>& instances() const { return state_->instances; }
  [[nodiscard]] const std::vector<std::string>& reports() const { return state_->reports; }
  void disconnect_all() {
    for (const auto& driver : state_->drivers) driver->stop("the test is over");
  }

 private:
  struct State : std::enable_shared_from_this<State> {
    State(boost::asio::io_context& io, crypto::PublicKey key, Options chosen)
        : context(io),
          options(std::move(chosen)),
          user_key(std::move(key)),
          listener(*net::Listener::listen_tcp(io.get_executor(),
                                              {boost::asio::ip::make_address("127.0.0.1"), 0})) {}
    boost::asio::io_context& context;
    Options options;
    crypto::PublicKey user_key;
    crypto::SystemRandom random;
    net::Listener listener;
    std::vector<std::shared_ptr<connection::SessionDriver>> drivers;
    std::size_t requested = 0;
    std::vector<ssh::InstanceId> instances;
    std::vector<std::string> reports;
  };

  static relay::Task<void> accept_all(std::shared_ptr<State> state) {
    for (;;) {
      auto socket = co_await state->listener.accept();
      if (!socket) co_return;
      ssh::SessionConfig config = state->options.session;
      config.role = ssh::Role::server;
      if (config.host_keys.empty()) config.host_keys = {host_key().public_key()};
      auto driver = std::make_shared<connection::SessionDriver>(
          std::make_unique<connection::SocketCarrier>(std::move(socket->socket)), std::move(config),
          state->random);
      state->drivers.push_back(driver);
      driver->start(
          [state = state.get(), keep = std::weak_ptr(state), weak = std::weak_ptr(driver)](ssh::Event event) {
            const auto alive = keep.lock();
            const auto self = weak.lock();
            if (alive && self) std::visit([&](auto& e) { answer(*state, self, e); }, event);
          });
    }
  }

  using Driver = std::shared_ptr<connection::SessionDriver>;

  template <class Event>
  static void answer(State&, const Driver&, Event&) {}
  static void answer(State&, const Driver& driver, ssh::HostSignatureWanted& e) {
    driver->session().host_signature(*host_key().sign(e.algorithm, e.message));
  }
  static void answer(State& state, const Driver& driver, ssh::UserOffered& e) {
    if (state.options.closes_at_login) return driver->stop("closing down");
    if (e.user == state.options.user && e.key == state.user_key) {
      driver->session().accept_user();
    } else {
      driver->session().refuse_user();
    }
  }
  static void answer(State& state, const Driver&, ssh::InstanceTold& e) { state.instances.push_back(e.id); }
  static void answer(State&, const Driver& driver, ssh::GlobalRequested& e) {
    if (e.want_reply) driver->session().reply_global(false, {});
  }
  static void answer(State& state, const Driver& driver, ssh::ListenRequested&) {
    if (state.options.on_listen) return state.options.on_listen(*driver);
    driver->session().reply_listen(false, 0);
  }
  static void answer(State& state, const Driver& driver, ssh::ChannelRequested& e) {
    using enum ssh::OpenFailure;
    auto& session = driver->session();
    ++state.requested;
    if (e.host == "silent") return;
    if (e.host == "late" && state.requested == 1) return driver->stop("not now");
    if (e.host == "refused") return session.refuse_channel(e.id, connect_failed, "Connection refused");
    if (e.host == "prohibited")
      return session.refuse_channel(e.id, administratively_prohibited, "open failed");
    if (e.host == "no-name") return session.refuse_channel(e.id, connect_failed, "Name or service not known");
    session.accept_channel(e.id);
    auto stream = std::make_unique<connection::ChannelStream>(driver, e.id);
    boost::asio::co_spawn(state.context,
                          e.host == "report" ? report(state.shared_from_this(), std::move(stream))
                                             : serve(std::move(stream), e.host, std::size_t{e.port} * 1024),
                          boost::asio::detached);
  }

  static relay::Task<void> report(std::shared_ptr<State> state,
                                  std::unique_ptr<connection::ChannelStream> stream) {
    const auto all = co_await receive_all(*stream);
    state->reports.push_back(all.bytes + (all.error ? ", reset" : ", end"));
  }

  static relay::Task<void> serve(std::unique_ptr<connection::ChannelStream> stream, std::string what,
                                 std::size_t size) {
    if (what == "echo" || what == "late") co_return co_await echo(*stream);
    if (what == "greeting") (void)co_await send_all(*stream, "hello");
    if (what == "source") (void)co_await send_all(*stream, test_bytes(size));
    if (what == "greeting" || what == "source") (void)co_await receive_all(*stream);
    if (what == "discard") {
      const auto all = (co_await receive_all(*stream)).bytes;
      const bool right = all == test_bytes(all.size());
      (void)co_await send_all(*stream, std::to_string(all.size()) + (right ? " right" : " wrong"));
    }
    if (what == "hang-up") {
      (void)co_await send_all(*stream, "last words", false);
      stream->abort();
    }
    // Waits for what comes with the end of the session alone: more than any window holds.
    if (what == "stuck") (void)co_await send_all(*stream, std::string(256u << 20, 'x'));
  }

  static relay::Task<void> echo(connection::ChannelStream& stream) {
    for (;;) {
      const auto lent = co_await stream.read();
      if (!lent) co_return;
      if (lent->empty()) break;
      const auto taken = stream.write(*lent);
      if (!taken) co_return;
      std::size_t size = 0;
      for (const ByteView view : *lent) size += view.size();
      stream.consume(*taken);
      if (*taken == size) continue;
      stream.keep();
      if (!co_await stream.writable()) co_return;
    }
    stream.end();
  }

  std::shared_ptr<State> state_;
};

}  // namespace culvert::testing
