// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/client.hpp"

#include <utility>
#include <variant>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "engine/connection/channel_stream.hpp"
#include "engine/connection/dial_error.hpp"
#include "engine/connection/session_driver.hpp"
#include "engine/connection/stream_carrier.hpp"
#include "engine/tunnel/agent_client.hpp"
#include "engine/tunnel/login.hpp"
#include "engine/tunnel/reach.hpp"
#include "engine/tunnel/remote_listeners.hpp"
#include "net/as_tuple.hpp"
#include "net/timer.hpp"

namespace culvert::tunnel {

namespace asio = boost::asio;

class Client::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::any_io_executor executor, ServerOptions options, net::Resolver& resolver, crypto::Random& random,
       Prompter& prompter, std::shared_ptr<LoginMemory> memory, std::optional<ssh::InstanceId> instance)
      : executor_(std::move(executor)),
        options_(std::move(options)),
        resolver_(resolver),
        random_(random),
        prompter_(prompter),
        memory_(std::move(memory)),
        instance_(instance),
        place_(fmt::format("{} port {}", printable(options_.host), options_.port)) {}

  relay::Task<Result<void>> connect();
  relay::Task<relay::Dialed> dial(const relay::Endpoint& destination, const relay::Endpoint& origin);
  relay::Task<relay::Bound> listen(relay::Endpoint where);
  relay::Task<Error> closed();
  [[nodiscard]] const std::shared_ptr<Client>& hop() const { return hop_; }
  [[nodiscard]] const std::shared_ptr<connection::SessionDriver>& driver() const { return driver_; }
  bool is_over() const { return driver_ == nullptr || driver_->is_over(); }
  void disconnect();

 private:
  relay::Task<Result<void>> establish();
  relay::Task<Result<Reached>> reach();
  void start_session(Reached reached, const HostIdentity& identity);
  void on_event(ssh::Event event);
  Result<ssh::ChannelId> open(const relay::Endpoint& destination, const relay::Endpoint& origin);
  Error in_place(Error error) const;
  relay::Task<Error> why_over(Error error) const;

  const asio::any_io_executor executor_;
  ServerOptions options_;
  net::Resolver& resolver_;
  crypto::Random& random_;
  Prompter& prompter_;
  const std::shared_ptr<LoginMemory> memory_;
  const std::optional<ssh::InstanceId> instance_;
  const std::string place_;  // "host port 22"

  asio::cancellation_signal stop_connecting_;
  bool stopped_ = false;
  bool logged_in_ = false;
  std::shared_ptr<Client> hop_;                // the session below, if there is one
  std::shared_ptr<const net::Child> program_;  // carries us, if it is there
  std::shared_ptr<connection::SessionDriver> driver_;
  std::shared_ptr<RemoteListeners> listeners_;  // with the driver
  std::shared_ptr<connection::Inbox> inbox_ = std::make_shared<connection::Inbox>();
};

Client::Client(asio::any_io_executor executor, ServerOptions options, net::Resolver& resolver,
               crypto::Random& random, Prompter& prompter, std::shared_ptr<LoginMemory> memory,
               std::optional<ssh::InstanceId> instance)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), resolver, random, prompter,
                                   std::move(memory), instance)) {}

Client::~Client() { impl_->disconnect(); }

// Each keeps what it needs alive: the Client may go before it runs, or while it waits.
relay::Task<Result<void>> Client::connect() {
  return [](std::shared_ptr<Impl> impl) -> relay::Task<Result<void>> {
    co_return co_await impl->connect();
  }(impl_);
}

relay::Task<relay::Dialed> Client::dial(const relay::Endpoint& destination, const relay::Visit& visit) {
  return [](std::shared_ptr<Impl> impl, const relay::Endpoint& to,
            const relay::Visit& by) -> relay::Task<relay::Dialed> {
    co_return co_await impl->dial(to, by.origin());
  }(impl_, destination, visit);
}

relay::Task<relay::Bound> Client::listen(const relay::Endpoint& where) {
  return [](std::shared_ptr<Impl> impl, relay::Endpoint at) -> relay::Task<relay::Bound> {
    co_return co_await impl->listen(std::move(at));
  }(impl_, where);
}

relay::Task<Error> Client::closed() {
  return [](std::shared_ptr<Impl> impl) -> relay::Task<Error> { co_return co_await impl->closed(); }(impl_);
}

bool Client::is_over() const { return impl_->is_over(); }

void Client::check_address() {
  if (impl_->hop()) impl_->hop()->check_address();
  if (impl_->driver()) impl_->driver()->check_address();
}

relay::Task<void> Client::streams_closed(Duration time) {
  return [](std::shared_ptr<Impl> impl, Duration most) -> relay::Task<void> {
    if (!impl->is_over()) co_await impl->driver()->channels_closed(most);
  }(impl_, time);
}

void Client::disconnect() { impl_->disconnect(); }

relay::Task<Result<void>> Client::Impl::connect() {
  CULVERT_ASSERT(driver_ == nullptr);
  if (stopped_) co_return cancelled();
  auto [failure, result] = co_await asio::co_spawn(
      executor_, establish(), asio::bind_cancellation_slot(stop_connecting_.slot(), net::kTuple));
  if (failure) result = fail(Errc::system, fmt::format("cannot connect to {}", place_));
  if (!result && driver_ != nullptr) driver_->stop("");
  if (stopped_) co_return cancelled();
  co_return std::move(result);
}

relay::Task<Result<void>> Client::Impl::establish() {
  co_await asio::this_coro::throw_if_cancelled(false);
  auto reached = co_await reach();
  if (!reached) co_return std::unexpected(std::move(reached).error());
  if (stopped_) co_return cancelled();
  program_ = reached->program;
  HostIdentity identity(options_, reached->peer, memory_->host, prompter_, random_);
  log(LogLevel::verbose, "connected to {} ({})", place_, identity.address());
  if (auto done = co_await identity.prepare(); !done)
    co_return std::unexpected(in_place(std::move(done).error()));
  start_session(*std::move(reached), identity);

  // While the server does its part of the key exchange, the keys are read.
  std::unique_ptr<Agent> agent;
  if (!options_.agent_socket.empty()) agent = std::make_unique<AgentClient>(options_.agent_socket);
  Authenticator authenticator(options_, memory_->identities, std::move(agent), prompter_);
  authenticator.prepare();
  Login login(*driver_, *inbox_, identity, authenticator);
  if (auto done = co_await login.run(); !done) {
    Error error = std::move(done).error();
    co_return std::unexpected(login.session_ended() ? co_await why_over(std::move(error))
                                                    : in_place(std::move(error)));
  }
  logged_in_ = true;
  log(LogLevel::verbose, "authenticated to {} ({}) using \"{}\"", printable(options_.host),
      identity.address(), authenticator.method());
  co_return Result<void>();
}

relay::Task<Result<Reached>> Client::Impl::reach() {
  const auto* jump = std::get_if<JumpHost>(&options_.way);
  if (jump == nullptr) co_return co_await tunnel::reach(options_, resolver_);
  hop_ = std::make_shared<Client>(executor_, *jump->server, resolver_, random_, prompter_, memory_->of_hop());
  const auto hop = hop_;
  if (const auto connected = co_await hop->connect(); !connected)
    co_return std::unexpected(connected.error());
  const relay::Endpoint there = relay::HostPort{options_.host, options_.port};
  const relay::KnownVisit here(relay::HostPort{"127.0.0.1", 65535});
  // The hop carries nothing but us. The timer's handler may come when all is over.
  struct Wait {
    bool is_over = false, timed_out = false;
  };
  const auto wait = std::make_shared<Wait>();
  net::Timer deadline(executor_);
  if (options_.connect_timeout > Duration::zero()) {
    deadline.expires_after(options_.connect_timeout);
    deadline.async_wait([wait, hop](const boost::system::error_code& error) {
      if (error || wait->is_over) return;
      wait->timed_out = true;
      hop->disconnect();
    });
  }
  auto dialed = co_await hop->dial(there, here);
  wait->is_over = true;
  if (wait->timed_out) {
    co_return fail(Errc::timed_out, fmt::format("cannot connect to {} through {}: no answer", place_,
                                                printable(jump->server->host)));
  }
  if (!dialed) {
    co_return fail(Errc::closed, fmt::format("cannot connect to {} through {}: {}", place_,
                                             printable(jump->server->host), dialed.error().message));
  }
  co_return Reached{std::make_unique<connection::StreamCarrier>(executor_, *std::move(dialed)), {}, {}};
}

void Client::Impl::start_session(Reached reached, const HostIdentity& identity) {
  ssh::SessionConfig config;
  config.role = ssh::Role::client;
  config.user = options_.user;
  config.algorithms = options_.algorithms;
  config.algorithms.host_keys = identity.known_first(options_.algorithms.host_keys);
  config.host_bound = options_.host_bound;
  config.instance = instance_;
  config.rekey = options_.rekey;
  config.limits = options_.limits;
  config.timing = options_.timing;
  if (reached.kernel_asks) {
    // A path that loses packets is the kernel's to notice: one question is enough for a program that hangs.
    config.timing.keepalive_interval = options_.asks_beside_kernel;
    config.timing.keepalive_count = 1;
  }
  config.timing.first_keys = options_.first_keys_patience > Duration::zero() ? options_.first_keys_patience
                                                                             : options_.connect_timeout;
  driver_ =
      std::make_shared<connection::SessionDriver>(std::move(reached.carrier), std::move(config), random_);
  // When the driver drops its handler, nothing comes any more: whoever waits for it then was left by a dead
  // executor.
  listeners_ = std::make_shared<RemoteListeners>(driver_);
  const std::shared_ptr<void> last(nullptr, [inbox = inbox_, listeners = listeners_](void*) {
    inbox->abandon();
    listeners->abandon();
  });
  driver_->start([weak = weak_from_this(), last](ssh::Event event) {
    if (const auto self = weak.lock()) self->on_event(std::move(event));
  });
}

void Client::Impl::on_event(ssh::Event event) {
  if (const auto* requested = std::get_if<ssh::ChannelRequested>(&event)) {
    if (listeners_->take(*requested)) return;
    log(LogLevel::verbose, "refused a channel that the server asked for: {}", printable(requested->type));
    driver_->session().refuse_channel(requested->id, ssh::OpenFailure::administratively_prohibited,
                                      "open failed");
  } else if (const auto* reply = std::get_if<ssh::GlobalReply>(&event)) {
    listeners_->answer(*reply);
  } else if (const auto* agreed = std::get_if<ssh::KeysAgreed>(&event); agreed && !agreed->first) {
    log(LogLevel::debug, "keys were renewed");
    log_keys_agreed(*agreed);
  } else if (!logged_in_) {
    const bool over = std::holds_alternative<ssh::Disconnected>(event);
    inbox_->put(std::move(event));
    // Nobody took it: the login asks a person or the agent, and the answer is not wanted any more.
    if (over && !inbox_->empty()) stop_connecting_.emit(asio::cancellation_type::terminal);
  } else if (const auto* over = std::get_if<ssh::Disconnected>(&event)) {
    log(LogLevel::verbose, "the session with {} is over: {}", place_, over->error.message);
    listeners_->end();
  }
}

relay::Task<relay::Dialed> Client::Impl::dial(const relay::Endpoint& destination,
                                              const relay::Endpoint& origin) {
  const auto not_connected = [this] {
    return std::unexpected(
        relay::DialError{relay::Refusal::closed, fmt::format("not connected to {}", place_)});
  };
  if (driver_ == nullptr || driver_->is_over()) co_return not_connected();
  const auto id = open(destination, origin);
  if (!id) {
    const auto reason = id.error().code == Errc::limit ? relay::Refusal::overloaded : relay::Refusal::closed;
    co_return std::unexpected(relay::DialError{reason, fmt::format("open failed: {}", id.error().message)});
  }
  auto stream = std::make_unique<connection::ChannelStream>(driver_, *id);
  driver_->after_command();
  if (co_await stream->opened()) co_return std::move(stream);
  if (stream->refusal() != nullptr && !driver_->is_over() && !stopped_)
    co_return std::unexpected(connection::dial_error(*stream->refusal()));
  co_return not_connected();
}

Result<ssh::ChannelId> Client::Impl::open(const relay::Endpoint& destination, const relay::Endpoint& origin) {
  auto& session = driver_->session();
  if (const auto* path = std::get_if<relay::UnixPath>(&destination))
    return session.open_direct_streamlocal(path->path);
  const auto& target = std::get<relay::HostPort>(destination);
  // Servers may check that the origin looks like an address; a client of a Unix socket has none. OpenSSH says
  // the same.
  const auto* from = std::get_if<relay::HostPort>(&origin);
  if (from == nullptr) return session.open_direct_tcpip(target.host, target.port, "127.0.0.1", 65535);
  return session.open_direct_tcpip(target.host, target.port, from->host, from->port);
}

relay::Task<relay::Bound> Client::Impl::listen(relay::Endpoint where) {
  if (driver_ == nullptr || driver_->is_over()) {
    co_return std::unexpected(
        relay::DialError{relay::Refusal::closed, fmt::format("not connected to {}", place_)});
  }
  const auto listeners = listeners_;
  co_return co_await listeners->listen(std::move(where));
}

relay::Task<Error> Client::Impl::closed() {
  if (driver_ == nullptr) co_return Error{Errc::closed, fmt::format("not connected to {}", place_)};
  co_return co_await why_over(co_await driver_->over());
}

// What the session says of its own end never names the server.
relay::Task<Error> Client::Impl::why_over(Error error) const {
  if (error.code == Errc::cancelled) co_return error;
  error.message = fmt::format("{}: {}", place_, error.message);
  if (stopped_) co_return error;
  co_return co_await with_end_of(program_, std::move(error));
}

void Client::Impl::disconnect() {
  if (std::exchange(stopped_, true)) return;
  // co_spawn of Boost 1.81 hands a cancellation to the executor and keeps nothing alive for it: there, it
  // happens at once.
  asio::dispatch(executor_, [self = shared_from_this()] {
    self->stop_connecting_.emit(asio::cancellation_type::terminal);
  });
  if (driver_ != nullptr) driver_->stop("disconnected by user");
  if (hop_ != nullptr) hop_->disconnect();
}

// Of what kept a session from its beginning: names the server, unless it is a whole line already.
Error Client::Impl::in_place(Error error) const {
  const bool is_whole = error.code == Errc::denied || error.code == Errc::verification ||
                        error.code == Errc::cancelled || error.code == Errc::usage;
  if (!is_whole) error.message = fmt::format("{}: {}", place_, error.message);
  return error;
}

}  // namespace culvert::tunnel
