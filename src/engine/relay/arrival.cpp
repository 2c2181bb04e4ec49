// SPDX-License-Identifier: Apache-2.0
//
//     source.next() --> a stream, from whom the client expects
//          ^
//          | stop()
//     the clock, the client who leaves, stop(): whoever is first writes down why
#include "engine/relay/arrival.hpp"

#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "engine/relay/client_watch.hpp"
#include "net/cancelled.hpp"
#include "net/timer.hpp"

namespace culvert::relay {

namespace asio = boost::asio;

namespace {

/// Turned away before we give up: who comes and is not expected must not keep us busy.
constexpr int kMostStrangers = 64;

}  // namespace

/// What may end the wait. Outlives run(), since a clock that was stopped may already have struck.
struct Arrival::Watched {
  void end(DialError why) {
    if (reason) return;
    reason = std::move(why);
    if (source != nullptr) source->stop();
  }
  BoundSource* source = nullptr;  ///< while it is waited for
  std::optional<DialError> reason;
};

Arrival::Arrival(PeerListener* listener, Negotiation& client, Endpoint expected, Endpoint origin,
                 Duration time)
    : listener_(listener),
      client_(client),
      expected_(std::move(expected)),
      origin_(std::move(origin)),
      time_(time),
      watched_(std::make_shared<Watched>()) {}

Arrival::~Arrival() { watched_->source = nullptr; }

void Arrival::stop() { watched_->end({Refusal::closed, "cancelled"}); }

Task<Dialed> Arrival::run() {
  if (listener_ == nullptr) {
    co_return std::unexpected(DialError{Refusal::unsupported, "nothing can listen at the far end"});
  }
  // After a cancellation what was started must still be waited for.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  auto source = co_await listener_->listen_for(expected_, origin_);
  Dialed arrived = std::unexpected(DialError{Refusal::closed, "cancelled"});
  if (!source) {
    arrived = std::unexpected(std::move(source).error());
  } else if (!watched_->reason && !net::is_cancelled(co_await asio::this_coro::cancellation_state)) {
    arrived = co_await wait_for_stream(**source);
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
  co_return arrived;
}

Task<Dialed> Arrival::wait_for_stream(BoundSource& source) {
  if (const auto told = co_await client_.tell_listening(source.bound()); !told)
    co_return std::unexpected(DialError{Refusal::closed, "the client is gone: " + told.error().message});

  const auto executor = co_await asio::this_coro::executor;
  watched_->source = &source;
  net::Timer clock(executor, time_);
  clock.async_wait([watched = watched_, time = time_](const boost::system::error_code& error) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time).count();
    if (!error) watched->end({Refusal::timed_out, fmt::format("nobody came within {} s", seconds)});
  });
  ClientWatch watch(executor, client_, [watched = watched_](std::string why) {
    watched->end({Refusal::closed, std::move(why)});
  });

  std::exception_ptr exception;
  Dialed arrived = std::unexpected(DialError{Refusal::closed, "cancelled"});
  try {
    arrived = co_await take_stream(source);
  } catch (...) {
    exception = std::current_exception();
  }
  watched_->source = nullptr;
  source.stop();
  clock.cancel();
  co_await watch.end();
  if (exception) std::rethrow_exception(exception);
  co_return arrived;
}

Task<Dialed> Arrival::take_stream(BoundSource& source) {
  for (int strangers = 0; strangers < kMostStrangers; ++strangers) {
    if (watched_->reason) co_return std::unexpected(*watched_->reason);
    auto pending = co_await source.next();
    if (watched_->reason) co_return std::unexpected(*watched_->reason);
    if (!pending) {
      const bool cancelled = pending.error().code == Errc::cancelled;
      co_return std::unexpected(
          DialError{cancelled ? Refusal::closed : Refusal::unreachable, std::move(pending).error().message});
    }
    const Endpoint peer = (*pending)->origin();
    if (!client_.expects(peer) || !source.lets_in(peer)) {
      (*pending)->refuse(Refusal::prohibited);
      continue;
    }
    auto stream = (*pending)->accept();
    if (const auto told = co_await client_.tell_arrived(peer); !told)
      co_return std::unexpected(DialError{Refusal::closed, "the client is gone: " + told.error().message});
    co_return stream;
  }
  co_return std::unexpected(DialError{Refusal::prohibited, "others came than the one who is expected"});
}

}  // namespace culvert::relay
