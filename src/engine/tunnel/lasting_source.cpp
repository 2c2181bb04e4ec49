// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/lasting_source.hpp"

#include <string_view>
#include <utility>
#include <variant>

#include <boost/asio/this_coro.hpp>

#include "base/log.hpp"
#include "engine/tunnel/reconnect_pace.hpp"
#include "engine/tunnel/tunnel_state.hpp"
#include "net/cancelled.hpp"

namespace culvert::tunnel {

namespace asio = boost::asio;

namespace {

std::string_view reason_to_ask_again(const relay::Endpoint& where) {
  if (std::holds_alternative<relay::UnixPath>(where)) {
    return "perhaps since the file is left from the connection that was lost (StreamLocalBindUnlink in its "
           "sshd_config removes such); asking again until it is gone";
  }
  return "perhaps since it still holds it for the connection that was lost; asking again until it is free";
}

}  // namespace

struct LastingSource::Shared {
  Shared(std::shared_ptr<Tunnel::State> of, std::unique_ptr<relay::BoundSource> first)
      : tunnel(std::move(of)), bound(first->bound()), source(std::move(first)) {}

  const std::shared_ptr<Tunnel::State> tunnel;
  const relay::Endpoint bound;
  std::shared_ptr<relay::BoundSource> source;  // of this connection; null between them
  bool stopped = false;
};

LastingSource::LastingSource(std::shared_ptr<Tunnel::State> tunnel, std::unique_ptr<relay::BoundSource> first)
    : shared_(std::make_shared<Shared>(std::move(tunnel), std::move(first))) {}

LastingSource::~LastingSource() { stop(); }

relay::Task<Result<std::unique_ptr<relay::Pending>>> LastingSource::next() {
  return [](std::shared_ptr<Shared> shared) -> relay::Task<Result<std::unique_ptr<relay::Pending>>> {
    for (;;) {
      if (shared->stopped) co_return fail(Errc::cancelled, "stopped");
      if (shared->source == nullptr) {
        const auto back = co_await ask_again(shared);
        if (!back) co_return std::unexpected(back.error());
      }
      const auto source = shared->source;
      auto pending = co_await source->next();
      if (pending || shared->stopped || pending.error().code != Errc::closed) co_return pending;
      shared->source.reset();
    }
  }(shared_);
}

relay::Task<Result<void>> LastingSource::ask_again(std::shared_ptr<Shared> shared) {
  auto& tunnel = *shared->tunnel;
  const std::string name = relay::to_string(shared->bound);
  bool said = false;
  std::weak_ptr<Client> asked;  // one that is over must not live on for this
  Instant asked_since{};
  for (;;) {
    while (!tunnel.is_up || tunnel.client->is_over()) {
      if (tunnel.over) co_return std::unexpected(*tunnel.over);
      if (shared->stopped || tunnel.stopped) co_return fail(Errc::cancelled, "stopped");
      co_await tunnel.changed.wait();
      if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
    }
    const auto client = tunnel.client;
    if (asked.lock() != client) {
      asked = client;
      asked_since = monotonic_now();
    }
    auto bound = co_await client->listen(shared->bound);
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state) || shared->stopped)
      co_return cancelled();
    if (bound) {
      shared->source = std::move(*bound);
      log(LogLevel::notice, "remote {} up again", name);
      co_return Result<void>();
    }
    const bool is_refused = bound.error().reason == relay::Refusal::prohibited;
    if (is_refused && !std::exchange(said, true)) {
      log(LogLevel::warning, "remote {}: the server refuses it, {}", name,
          reason_to_ask_again(shared->bound));
    }
    co_await tunnel.changed.wait(ask_again_in(monotonic_now() - asked_since));
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
  }
}

void LastingSource::stop() {
  if (std::exchange(shared_->stopped, true)) return;
  if (shared_->source) shared_->source->stop();
  shared_->tunnel->changed.wake();
}

std::string LastingSource::name() const { return relay::to_string(shared_->bound); }
const relay::Endpoint& LastingSource::bound() const { return shared_->bound; }

}  // namespace culvert::tunnel
