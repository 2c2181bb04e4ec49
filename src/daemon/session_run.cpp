// SPDX-License-Identifier: Apache-2.0
#include "daemon/session_run.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include <boost/asio/co_spawn.hpp>

#include <fmt/format.h>

#include "base/log.hpp"
#include "daemon/open_listeners.hpp"
#include "engine/proxy/accounts_file.hpp"
#include "engine/proxy/front.hpp"
#include "engine/relay/listener_source.hpp"

namespace culvert::daemon {

namespace asio = boost::asio;

namespace {

// How long the server may take for the end of the connection, after which we leave without it.
constexpr Duration kGoodbye = std::chrono::seconds(1);
// A stream that breaks because the session broke may say so a moment before the session does.
constexpr Duration kReasonDelay = std::chrono::milliseconds(100);

}  // namespace

SessionRun::SessionRun(asio::any_io_executor executor, const SessionPlan& plan, net::Resolver& resolver,
                       crypto::Random& random, tunnel::Prompter& prompter)
    : executor_(std::move(executor)),
      plan_(plan),
      resolver_(resolver),
      client_(executor_, plan.server, resolver, random, prompter),
      changed_(executor_) {}

relay::Task<Result<void>> SessionRun::start() {
  if (!plan_.proxy_accounts_file.empty())
    proxy_accounts_ = CO_TRY(proxy::read_accounts_file(plan_.proxy_accounts_file));
  if (const auto checked = co_await check_listeners(); !checked) co_return std::unexpected(checked.error());
  if (const auto connected = co_await client_.connect(); !connected)
    co_return std::unexpected(connected.error());
  co_return co_await open_forwards();
}

// The listeners open after the login, as in ssh: nobody's connection should wait for a password. But a port
// that is taken is better known before the question. Names and Unix sockets are left alone: they cost time,
// or leave traces.
relay::Task<Result<void>> SessionRun::check_listeners() {
  if (!plan_.exit_on_forward_failure) co_return Result<void>();
  std::vector<const ListenSpec*> specs;
  for (const LocalForward& forward : plan_.local_forwards) specs.push_back(&forward.listen);
  for (const DynamicForward& forward : plan_.dynamic_forwards) specs.push_back(&forward.listen);
  for (const ListenSpec* spec : specs) {
    const auto* where = std::get_if<relay::HostPort>(&spec->endpoint);
    if (where == nullptr || (where->host != "localhost" && where->host != "*")) continue;
    const auto listeners = co_await open_listeners(*spec, resolver_);
    if (!listeners) co_return std::unexpected(listeners.error());
  }
  co_return Result<void>();
}

relay::Task<Result<void>> SessionRun::open_forwards() {
  for (const LocalForward& forward : plan_.local_forwards) {
    auto listeners = co_await open_listeners(forward.listen, resolver_);
    if (!listeners) {
      if (plan_.exit_on_forward_failure) co_return std::unexpected(listeners.error());
      log(LogLevel::warning, "{}", listeners.error().message);
      continue;
    }
    for (const net::Listener& listener : *listeners) {
      log(LogLevel::notice, "local {} -> {} up", listener.name(), to_string(forward.destination));
    }
    forwards_.push_back(
        std::make_unique<relay::Forward>(std::make_unique<relay::ListenerSource>(std::move(*listeners)),
                                         client_, relay::ForwardOptions{.destination = forward.destination}));
  }
  if (const auto opened = co_await open_dynamic_forwards(); !opened) co_return opened;
  if (plan_.stdio) stdio_.emplace(client_, plan_.stdio->destination);
  co_return Result<void>();
}

relay::Task<Result<void>> SessionRun::open_dynamic_forwards() {
  for (const DynamicForward& forward : plan_.dynamic_forwards) {
    auto listeners = co_await open_listeners(forward.listen, resolver_);
    if (!listeners) {
      if (plan_.exit_on_forward_failure) co_return std::unexpected(listeners.error());
      log(LogLevel::warning, "{}", listeners.error().message);
      continue;
    }
    for (const net::Listener& listener : *listeners) log(LogLevel::notice, "dynamic {} up", listener.name());
    auto source = std::make_unique<relay::ListenerSource>(std::move(*listeners));
    auto front =
        std::make_unique<proxy::Front>(std::move(source), proxy::FrontOptions{.accounts = proxy_accounts_});
    forwards_.push_back(std::make_unique<relay::Forward>(std::move(front), client_, relay::ForwardOptions{}));
  }
  co_return Result<void>();
}

relay::Task<Result<void>> SessionRun::serve() {
  spawn(watch_session());
  for (const auto& forward : forwards_) spawn(run_forward(*forward));
  stdio_over_ = !stdio_;
  if (stdio_) spawn(run_stdio());

  while (!result_ && !stop_within_) co_await changed_.wait();
  co_await drain(result_ ? Duration::zero() : *stop_within_);

  client_.disconnect();
  const Instant deadline = monotonic_now() + kGoodbye;
  while (running_ > 0) {
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

relay::Task<void> SessionRun::drain(Duration time) {
  const Instant deadline = monotonic_now() + time;
  const auto left = [deadline] { return std::max(Duration::zero(), deadline - monotonic_now()); };
  for (const auto& forward : forwards_) forward->stop();
  while (!stdio_over_ && !session_over_ && left() > Duration::zero()) co_await changed_.wait(left());
  if (!stdio_over_) stdio_->abort();
  for (const auto& forward : forwards_) co_await forward->drain(session_over_ ? Duration::zero() : left());
}

relay::Task<void> SessionRun::run_forward(relay::Forward& forward) {
  const auto ended = co_await forward.run();
  if (ended || ended.error().code == Errc::cancelled) co_return;
  Error error{ended.error().code, fmt::format("{}: {}", forward.name(), ended.error().message)};
  if (plan_.exit_on_forward_failure) co_return over(std::unexpected(std::move(error)));
  log(LogLevel::warning, "{}", error.message);
}

relay::Task<void> SessionRun::run_stdio() {
  auto ended = co_await stdio_->run();
  stdio_over_ = true;
  changed_.wake();
  if (!ended && !session_over_ && !stop_within_) {
    Event pause(executor_);
    co_await pause.wait(kReasonDelay);
  }
  over(std::move(ended));
}

relay::Task<void> SessionRun::watch_session() {
  Error error = co_await client_.closed();
  session_over_ = true;
  over(std::unexpected(std::move(error)));
}

void SessionRun::over(Result<void> result) {
  // What happens after stop() is its consequence.
  if (!result_ && !stop_within_) result_ = std::move(result);
  changed_.wake();
}

void SessionRun::spawn(relay::Task<void> task) {
  ++running_;
  asio::co_spawn(executor_, std::move(task), [this](const std::exception_ptr& exception) {
    --running_;
    changed_.wake();
    if (!exception) return;
    try {
      std::rethrow_exception(exception);
    } catch (const std::exception& error) {  // memory ran out
      over(fail(Errc::system, error.what()));
    }
  });
}

}  // namespace culvert::daemon
