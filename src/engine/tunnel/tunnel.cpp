// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/tunnel.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "engine/tunnel/client.hpp"
#include "engine/tunnel/lasting_source.hpp"
#include "engine/tunnel/reconnect_pace.hpp"
#include "engine/tunnel/tunnel_state.hpp"
#include "net/as_tuple.hpp"
#include "net/cancelled.hpp"
#include "net/timer.hpp"

namespace culvert::tunnel {

namespace asio = boost::asio;

namespace {

constexpr Duration kRoutesSettle = std::chrono::milliseconds(200);

constexpr std::size_t kReasonsMost = 8;  // that are told of one outage

// What trying again would not mend, and might make worse: an account that is locked, a key that is not the
// known one.
bool is_final(const Error& error) {
  return error.code == Errc::denied || error.code == Errc::verification || error.code == Errc::usage ||
         error.code == Errc::cancelled || error.code == Errc::unsupported;
}

// An attempt to come back, hop by hop.
void hurry(ServerOptions& server, Duration most, Duration keys) {
  server.first_keys_patience = std::max(keys, server.connect_timeout);
  server.connect_timeout =
      server.connect_timeout > Duration::zero() ? std::min(server.connect_timeout, most) : most;
  server.connection_attempts = 1;
  auto* jump = std::get_if<JumpHost>(&server.way);
  if (jump == nullptr) return;
  ServerOptions hop = *jump->server;
  hurry(hop, most, keys);
  jump->server = std::make_shared<const ServerOptions>(std::move(hop));
}

std::uint32_t random_number(crypto::Random& random) {
  std::array<std::uint8_t, 4> bytes{};
  random.fill(bytes);
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 |
         bytes[3];
}

ssh::InstanceId random_instance(crypto::Random& random) {
  ssh::InstanceId id{};
  random.fill(id);
  return id;
}

std::string seconds_text(Duration time) {
  const auto tenths = std::chrono::duration_cast<std::chrono::milliseconds>(time).count() / 100;
  return tenths < 100 ? fmt::format("{}.{} s", tenths / 10, tenths % 10) : fmt::format("{} s", tenths / 10);
}

}  // namespace

Tunnel::Tunnel(asio::any_io_executor executor, TunnelOptions options, net::Resolver& resolver,
               crypto::Random& random, Prompter& prompter)
    : state_(std::make_shared<State>(std::move(executor), std::move(options), resolver, random, prompter)) {}

Tunnel::~Tunnel() { stop(); }

bool Tunnel::is_up() const { return state_->is_up; }

std::string Tunnel::state_text() const {
  const State& state = *state_;
  std::string text = fmt::format("{}connected to {} for {}", state.is_up ? "" : "not ", state.place,
                                 seconds_text(monotonic_now() - state.since));
  if (state.times_lost > 0)
    text += fmt::format(", lost {} time{} so far", state.times_lost, state.times_lost == 1 ? "" : "s");
  return text;
}

relay::Task<Result<void>> Tunnel::start() {
  return [](std::shared_ptr<State> state) -> relay::Task<Result<void>> {
    state->pace.lost(monotonic_now());
    auto connected = co_await state->attempt(false);
    if (!connected && state->options.waits_for_first && !state->stopped && !is_final(connected.error())) {
      state->tell(LogLevel::warning, connected.error().message + "; waiting for it");
      connected = co_await state->come_back(connected.error().message);
    }
    if (connected) {
      state->came_up();
      asio::co_spawn(state->executor, State::stay(state), asio::detached);
      if (auto watch = net::RouteWatch::open(state->executor); watch && state->options.reconnects) {
        state->routes.emplace(std::move(*watch));
        asio::co_spawn(state->executor, State::watch_routes(state), asio::detached);
      }
    } else {
      state->end(connected.error());
    }
    co_return connected;
  }(state_);
}

relay::Task<Error> Tunnel::over() {
  return [](std::shared_ptr<State> state) -> relay::Task<Error> {
    while (!state->over) co_await state->changed.wait();
    co_return *state->over;
  }(state_);
}

relay::Task<void> Tunnel::streams_closed(Duration time) {
  return [](std::shared_ptr<Client> client, Duration most) -> relay::Task<void> {
    if (client) co_await client->streams_closed(most);
  }(state_->client, time);
}

void Tunnel::stop() {
  if (std::exchange(state_->stopped, true)) return;
  if (state_->client) state_->client->disconnect();
  state_->pause.cancel();
  state_->changed.wake();
}

// ---- the connection

Tunnel::State::State(asio::any_io_executor on, TunnelOptions with, net::Resolver& names,
                     crypto::Random& numbers, Prompter& asks)
    : executor(std::move(on)),
      options(std::move(with)),
      resolver(names),
      random(numbers),
      prompter(asks),
      place(fmt::format("{} port {}", printable(options.server.host), options.server.port)),
      instance(random_instance(random)),
      changed(executor),
      pause(executor) {}

relay::Task<Result<void>> Tunnel::State::attempt(bool again) {
  ServerOptions server = options.server;
  if (again) {
    const Instant now = monotonic_now();
    hurry(server, pace.patience(now), pace.keys_patience(now));
  }
  client =
      std::make_shared<Client>(executor, std::move(server), resolver, random, prompter, memory, instance);
  const auto current = client;
  co_return co_await current->connect();
}

// Until it is connected again, or will not be.
relay::Task<Result<void>> Tunnel::State::come_back(std::string known_reason) {
  std::vector<std::string> told = {std::move(known_reason)};
  for (;;) {
    pause.expires_at(pace.next(monotonic_now(), random_number(random)));
    (void)co_await pause.async_wait(net::kTuple);
    if (stopped) co_return fail(Errc::cancelled, "stopped");
    auto connected = co_await attempt(true);
    if (stopped) co_return fail(Errc::cancelled, "stopped");
    if (connected || is_final(connected.error())) co_return connected;
    // The same reason again and again is no news, and a peer may find ever new ones.
    const auto& reason = connected.error().message;
    if (told.size() <= kReasonsMost && std::ranges::find(told, reason) == told.end()) {
      tell(LogLevel::notice, "still not connected: " + reason);
      told.push_back(reason);
    } else {
      log(LogLevel::debug, "{}", reason);
    }
  }
}

void Tunnel::State::came_up() {
  since = monotonic_now();
  pace.connected(since);
  is_up = true;
  changed.wake();
}

void Tunnel::State::tell(LogLevel level, const std::string& line) const {
  log(level, "{}", line);
  if (options.on_change) options.on_change(line);
}

void Tunnel::State::end(Error why) {
  if (routes) routes->close();
  is_up = false;
  if (!over) over = std::move(why);
  changed.wake();
}

relay::Task<void> Tunnel::State::stay(std::shared_ptr<State> state) {
  for (;;) {
    const auto current = state->client;
    Error why = co_await current->closed();
    state->is_up = false;
    if (state->stopped || !state->options.reconnects || is_final(why)) co_return state->end(std::move(why));
    state->since = monotonic_now();
    state->pace.lost(state->since);
    ++state->times_lost;
    state->tell(LogLevel::warning, fmt::format("connection lost: {}; connecting again", why.message));
    state->changed.wake();
    const auto back = co_await state->come_back(why.message);
    if (!back) co_return state->end(back.error());
    state->tell(LogLevel::notice, fmt::format("connected to {} again after {}", state->place,
                                              seconds_text(monotonic_now() - state->since)));
    state->came_up();
  }
}

relay::Task<void> Tunnel::State::watch_routes(std::shared_ptr<State> state) {
  net::Timer quiet(state->executor);
  while (!state->over && !state->stopped && co_await state->routes->changed()) {
    // A change comes as a shower of messages, and a route follows its link.
    quiet.expires_after(kRoutesSettle);
    (void)co_await quiet.async_wait(net::kTuple);
    if (state->over || state->stopped) break;
    if (state->is_up) {
      state->client->check_address();
    } else {
      state->pause.cancel();
    }
  }
}

// ---- its users

relay::Task<bool> Tunnel::State::wait_until_up(Instant deadline) {
  while (!is_up && !over && !stopped) {
    const Instant now = monotonic_now();
    if (now >= deadline) break;
    co_await (deadline == kNever ? changed.wait() : changed.wait(deadline - now));
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return false;
  }
  co_return is_up && !stopped;
}

// A connection that went away under the question has not answered it: the next one may, until `deadline`.
relay::Task<bool> Tunnel::State::is_unanswered(relay::DialError error, const Client& asked,
                                               Instant deadline) {
  if (error.reason != relay::Refusal::closed || !asked.is_over() || !options.reconnects) co_return false;
  if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return false;
  if (is_up) co_await changed.wait(std::chrono::milliseconds(50));  // it has not been noticed yet
  co_return monotonic_now() < deadline;
}

relay::Task<relay::Dialed> Tunnel::dial(const relay::Endpoint& destination, const relay::Visit& visit) {
  return [](std::shared_ptr<State> state, const relay::Endpoint& to,
            const relay::Visit& by) -> relay::Task<relay::Dialed> {
    const Instant deadline = monotonic_now() + state->options.stream_patience;
    for (;;) {
      if (!co_await state->wait_until_up(deadline)) {
        const auto reason =
            state->over || state->stopped ? relay::Refusal::closed : relay::Refusal::timed_out;
        co_return std::unexpected(relay::DialError{reason, fmt::format("not connected to {}", state->place)});
      }
      const auto client = state->client;
      auto dialed = co_await client->dial(to, by);
      if (dialed || !co_await state->is_unanswered(dialed.error(), *client, deadline)) co_return dialed;
    }
  }(state_, destination, visit);
}

relay::Task<relay::Bound> Tunnel::listen(const relay::Endpoint& where) {
  return State::listen(state_, where, monotonic_now() + state_->options.stream_patience);
}

relay::Task<relay::Bound> Tunnel::listen_patiently(const relay::Endpoint& where) {
  return State::listen(state_, where, kNever);
}

relay::Task<relay::Bound> Tunnel::State::listen(std::shared_ptr<State> state, relay::Endpoint at,
                                                Instant deadline) {
  for (;;) {
    if (!co_await state->wait_until_up(deadline)) {
      co_return std::unexpected(
          relay::DialError{relay::Refusal::closed, fmt::format("not connected to {}", state->place)});
    }
    const auto client = state->client;
    auto first = co_await client->listen(at);
    if (first && state->options.reconnects)
      co_return std::make_unique<LastingSource>(state, std::move(*first));
    if (first || !co_await state->is_unanswered(first.error(), *client, deadline)) co_return first;
  }
}

}  // namespace culvert::tunnel
