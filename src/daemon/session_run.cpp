// SPDX-License-Identifier: Apache-2.0
#include "daemon/session_run.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/log.hpp"
#include "daemon/listen_hook.hpp"
#include "daemon/open_listeners.hpp"
#include "daemon/permitted_remote.hpp"
#include "daemon/traffic_log.hpp"
#include "engine/proxy/accounts_file.hpp"
#include "engine/proxy/front.hpp"
#include "engine/relay/listener_source.hpp"
#include "engine/relay/proxy_header_source.hpp"
#include "net/addresses.hpp"

namespace culvert::daemon {

namespace asio = boost::asio;

namespace {

// How long the server may take for the end of the connection, after which we leave without it.
constexpr Duration kGoodbye = std::chrono::seconds(1);
// What breaks because the session broke may say so a moment before the session does, which knows why.
constexpr Duration kReasonDelay = std::chrono::milliseconds(100);

// For people: what the server was asked, with the words of the command line.
std::string remote_name(const relay::Endpoint& where) {
  const auto* place = std::get_if<relay::HostPort>(&where);
  if (place == nullptr || !place->host.empty()) return to_string(where);
  return to_string(relay::Endpoint(relay::HostPort{"*", place->port}));
}

tunnel::TunnelOptions options_of(const SessionPlan& plan, ServiceManager& manager) {
  tunnel::TunnelOptions options;
  options.server = plan.server;
  options.reconnects = plan.reconnects && !plan.stdio;
  options.waits_for_first = plan.waits_for_first;
  if (plan.server.connect_timeout > Duration::zero()) options.stream_patience = plan.server.connect_timeout;
  options.on_change = [&manager](const std::string& line) { manager.status(line); };
  return options;
}

}  // namespace

SessionRun::SessionRun(asio::any_io_executor executor, const SessionPlan& plan, net::Resolver& resolver,
                       crypto::Random& random, tunnel::Prompter& prompter, ServiceManager& manager,
                       BoundPorts& bound)
    : executor_(std::move(executor)),
      plan_(plan),
      resolver_(resolver),
      bound_(bound),
      tunnel_(executor_, options_of(plan, manager), resolver, random, prompter),
      direct_(resolver),
      permitted_(resolver, {}, net::Family::any, judge_of_remote(plan.permitted_remote)),
      changed_(executor_),
      tasks_(changed_, [this](Error error) { over(std::unexpected(std::move(error))); }) {}

relay::Task<Result<void>> SessionRun::start() {
  if (!plan_.proxy_accounts_file.empty())
    proxy_accounts_ = CO_TRY(proxy::read_accounts_file(plan_.proxy_accounts_file));
  CO_TRY(check_listeners());
  if (const auto connected = co_await tunnel_.start(); !connected)
    co_return std::unexpected(connected.error());
  co_return co_await open_forwards();
}

// The listeners open after the login, as in ssh: nobody's connection should wait for a password. But a port
// that is taken is better known before the question.
Result<void> SessionRun::check_listeners() const {
  if (!plan_.exit_on_forward_failure) return {};
  for (const LocalForward& forward : plan_.local_forwards) TRY(check_ports(forward.listen));
  for (const DynamicForward& forward : plan_.dynamic_forwards) TRY(check_ports(forward.listen));
  return {};
}

relay::Task<Result<void>> SessionRun::open_forwards() {
  auto opened = co_await open_local_forwards();
  if (opened) opened = co_await open_dynamic_forwards();
  if (opened) opened = co_await open_remote_forwards();
  if (opened && plan_.stdio) stdio_.emplace(telling(tunnel_), plan_.stdio->destination);
  co_return opened;
}

relay::Task<Result<void>> SessionRun::open_local_forwards() {
  for (const LocalForward& forward : plan_.local_forwards) {
    auto listeners = co_await open_listeners(forward.listen, resolver_);
    if (!listeners) {
      CO_TRY(forward_failed(std::move(listeners).error()));
      continue;
    }
    const auto name_of = [&](const net::Listener& listener) {
      return fmt::format("local {} -> {}", listener.name(), to_string(forward.destination));
    };
    std::string name = name_of(listeners->front());
    for (const net::Listener& listener : *listeners) log(LogLevel::notice, "{} up", name_of(listener));
    note_bound(*listeners);
    add_forward(std::move(name), std::make_unique<relay::ListenerSource>(std::move(*listeners)), tunnel_,
                forward.destination);
  }
  co_return Result<void>();
}

relay::Task<Result<void>> SessionRun::open_dynamic_forwards() {
  for (const DynamicForward& forward : plan_.dynamic_forwards) {
    auto listeners = co_await open_listeners(forward.listen, resolver_);
    if (!listeners) {
      CO_TRY(forward_failed(std::move(listeners).error()));
      continue;
    }
    for (const net::Listener& listener : *listeners) log(LogLevel::notice, "dynamic {} up", listener.name());
    note_bound(*listeners);
    std::string name = "dynamic " + listeners->front().name();
    add_forward(std::move(name), std::make_unique<relay::ListenerSource>(std::move(*listeners)), tunnel_,
                std::nullopt);
  }
  co_return Result<void>();
}

relay::Task<Result<void>> SessionRun::open_remote_forwards() {
  for (const RemoteForward& forward : plan_.remote_forwards) {
    auto bound = co_await tunnel_.listen_patiently(forward.listen);
    if (!bound) {
      CO_TRY(forward_failed(
          {Errc::denied, fmt::format("remote {}: {}", remote_name(forward.listen), bound.error().message)}));
      continue;
    }
    std::unique_ptr<relay::BoundSource> source = std::move(*bound);
    const relay::Endpoint at = source->bound();
    const std::string to = forward.destination ? to_string(*forward.destination) : "proxy";
    std::string name = fmt::format("remote {} -> {}", remote_name(at), to);
    log(LogLevel::notice, "{} up", name);
    if (!plan_.on_listen.empty()) run_listen_hook(executor_, plan_.on_listen, at, to);
    add_forward(std::move(name), std::move(source), forward.destination ? direct_ : permitted_,
                forward.destination);
  }
  co_return Result<void>();
}

void SessionRun::note_bound(const std::vector<net::Listener>& listeners) {
  for (const net::Listener& listener : listeners) {
    if (const auto at = listener.endpoint())
      bound_.add(net::ip_address_of(at->address()), gateway::Protocol::tcp, at->port());
  }
}

void SessionRun::add_forward(std::string name, std::unique_ptr<relay::Source> source, relay::Dialer& dialer,
                             std::optional<relay::Endpoint> destination) {
  // Of a remote listener, who came is what the server says. It could write any header, too: its word is worth
  // as much as the stream that it carries.
  if (!plan_.proxy_header_from.empty()) {
    source = std::make_unique<relay::ProxyHeaderSource>(
        std::move(source), relay::ProxyHeaderSourceOptions{.trusted = plan_.proxy_header_from});
  }
  if (!destination)
    source =
        std::make_unique<proxy::Front>(std::move(source), proxy::FrontOptions{.accounts = proxy_accounts_});
  forwards_.push_back({std::move(name), std::make_unique<relay::Forward>(
                                            std::move(source), telling(dialer),
                                            relay::ForwardOptions{.destination = std::move(destination)})});
}

relay::Dialer& SessionRun::telling(relay::Dialer& inner) {
  if (!plan_.proxy_header_to) return inner;
  return telling_.emplace_back(inner, *plan_.proxy_header_to);
}

Result<void> SessionRun::forward_failed(Error error) const {
  if (plan_.exit_on_forward_failure) return std::unexpected(std::move(error));
  log(LogLevel::warning, "{}", error.message);
  return {};
}

relay::Task<Result<void>> SessionRun::serve() {
  tasks_.spawn(watch_session());
  for (const auto& [name, forward] : forwards_) tasks_.spawn(run_forward(*forward));
  stdio_over_ = !stdio_;
  if (stdio_) tasks_.spawn(run_stdio());

  while (!result_ && !stop_within_) co_await changed_.wait();
  co_await drain(result_ ? Duration::zero() : *stop_within_);

  tunnel_.stop();
  const Instant deadline = monotonic_now() + kGoodbye;
  while (!tasks_.empty()) {
    const Duration left = deadline - monotonic_now();
    if (left <= Duration::zero()) break;
    co_await changed_.wait(left);
  }
  co_return result_.value_or(Result<void>());
}

void SessionRun::stop(Duration time) {
  if (!stop_within_) stop_within_ = time;
  changed_.wake();
}

void SessionRun::tell() {
  log(LogLevel::notice, "{}", tunnel_.state_text());
  for (const auto& [name, forward] : forwards_) log_traffic(name, relay::traffic_of(forward->counters()));
}

relay::Task<void> SessionRun::drain(Duration time) {
  const Instant deadline = monotonic_now() + time;
  const auto left = [deadline] { return std::max(Duration::zero(), deadline - monotonic_now()); };
  for (const auto& [name, forward] : forwards_) forward->stop();
  while (!stdio_over_ && !session_over_ && left() > Duration::zero()) co_await changed_.wait(left());
  if (!stdio_over_) stdio_->abort();
  for (const auto& [name, forward] : forwards_)
    co_await forward->drain(session_over_ ? Duration::zero() : left());
  co_await tunnel_.streams_closed(left());
}

relay::Task<void> SessionRun::run_forward(relay::Forward& forward) {
  const auto ended = co_await forward.run();
  if (ended || ended.error().code == Errc::cancelled) co_return;
  if (ended.error().code == Errc::closed) co_await let_session_speak();
  if (session_over_) co_return;
  auto failed =
      forward_failed({ended.error().code, fmt::format("{}: {}", forward.name(), ended.error().message)});
  if (!failed) over(std::move(failed));
}

relay::Task<void> SessionRun::run_stdio() {
  auto ended = co_await stdio_->run();
  stdio_over_ = true;
  changed_.wake();
  if (!ended) co_await let_session_speak();
  over(std::move(ended));
}

relay::Task<void> SessionRun::let_session_speak() {
  if (session_over_ || stop_within_) co_return;
  relay::Signal pause(executor_);
  co_await pause.wait(kReasonDelay);
}

relay::Task<void> SessionRun::watch_session() {
  Error error = co_await tunnel_.over();
  session_over_ = true;
  over(std::unexpected(std::move(error)));
}

void SessionRun::over(Result<void> result) {
  // What happens after stop() is its consequence.
  if (!result_ && !stop_within_) result_ = std::move(result);
  changed_.wake();
}

}  // namespace culvert::daemon
