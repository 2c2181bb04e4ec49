// SPDX-License-Identifier: Apache-2.0
#include "engine/server/server.hpp"

#include <malloc.h>

#include <algorithm>
#include <exception>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>

#include <fmt/format.h>

#include "base/log.hpp"
#include "engine/relay/announced_socket.hpp"
#include "engine/relay/proxy_header.hpp"
#include "net/addresses.hpp"
#include "net/run.hpp"
#include "net/unique_fd.hpp"
#include "net/yield.hpp"

namespace culvert::server {

namespace asio = boost::asio;

namespace {

/// Who connects again and again must not keep the thread from those who are logged in.
constexpr int kArrivalsPerTurn = 16;
constexpr Duration kTidyAfter = std::chrono::seconds(5);
// So soon a session ends whose key was revoked, if it opens nothing; and after a kill so much of the traffic
// is forgotten that quotas count.
constexpr Duration kLookAfter = std::chrono::seconds(5);
// Of clients behind proxies: how long a header may take, and how many may be waited for.
constexpr Duration kHeaderPatience = std::chrono::seconds(10);
constexpr std::size_t kMostHeard = 1024;

void log_not_heard(const asio::ip::tcp::endpoint& from, std::string_view reason) {
  log_event(LogLevel::verbose, "not_heard", "{}: not heard: {}",
            field("source_address", from.address().to_string()), field("reason", std::string(reason)));
}

// By a reset, which holds no port.
void turn_away(net::StreamSocket& socket, const asio::ip::tcp::endpoint& from, std::string_view reason) {
  log_not_heard(from, reason);
  (void)net::set_reset_on_close(socket.native_handle());
}

relay::Endpoint place_of(const asio::ip::tcp::endpoint& endpoint) {
  return relay::HostPort{endpoint.address().to_string(), endpoint.port()};
}

// None: it is no address.
std::optional<asio::ip::tcp::endpoint> visitor_of(const relay::Visit& visit) {
  const auto address = relay::address_of(visit.origin());
  if (!address) return std::nullopt;
  return asio::ip::tcp::endpoint(net::asio_address_of(*address),
                                 std::get<relay::HostPort>(visit.origin()).port);
}

}  // namespace

Server::Server(std::vector<asio::any_io_executor> threads, const ServerOptions& options,
               Privileges& privileges, HostKeys& host_keys, Accounts& accounts, net::Resolver& resolver,
               crypto::Random& random)
    : executor_(threads.front()),
      context_(std::make_shared<Context>(options, resolver, random, privileges, host_keys, accounts)),
      changed_(executor_) {
  for (asio::any_io_executor& thread : threads) {
    auto tell_gone = [this](Guard::Ticket ticket) {
      net::post_from_outside(executor_, [this, ticket] { gone(ticket); });
    };
    threads_.push_back({std::make_unique<Lane>(std::move(thread), context_, std::move(tell_gone))});
  }
}

Server::~Server() = default;

relay::Task<Result<void>> Server::run(std::vector<net::Listener> listeners) {
  listeners_ = std::move(listeners);
  accepting_ = listeners_.size();
  for (net::Listener& listener : listeners_) {
    asio::co_spawn(executor_, accept_all(listener), [this](const std::exception_ptr&) {
      --accepting_;
      changed_.wake();
    });
  }
  // What many streams needed at once stays in the heap, below whatever small thing lies on top of it: a
  // while after clients have gone, it is asked to give that back.
  Instant tidy_at = kNever;
  Instant look_at = monotonic_now();
  while (accepting_ > 0 || !heard_.empty() || !clients_.empty()) {
    const Instant now = monotonic_now();
    if (now >= look_at) {
      look_for_changes();
      context_->accounts.lock()->keep_quotas();
      look_at = now + kLookAfter;
    }
    if (now >= tidy_at) {
      ::malloc_trim(0);
      tidy_at = kNever;
    }
    if (std::exchange(somebody_left_, false)) tidy_at = std::min(tidy_at, now + kTidyAfter);
    co_await changed_.wait(std::min(look_at, tidy_at) - now);
  }
  context_->accounts.lock()->keep_quotas();
  if (failed_ && !stopped_) co_return std::unexpected(*failed_);
  co_return Result<void>();
}

// At the files of the accounts. Whoever opens something looks, too.
void Server::look_for_changes() {
  const std::uint64_t version = context_->accounts.lock()->refresh();
  if (std::exchange(seen_version_, version) == version) return;
  post_to_all([](Lane& lane) { lane.accounts_changed(); });
}

relay::Task<void> Server::accept_all(net::Listener& listener) {
  for (net::Rounds rounds(kArrivalsPerTurn);;) {
    auto connection = co_await listener.accept();
    if (!connection) {
      if (!stopped_ && !failed_) failed_ = std::move(connection).error();
      if (!stopped_) stop(Duration::zero());
      co_return;
    }
    arrived(std::move(*connection));
    if (rounds.make_a_turn()) co_await net::yield();
  }
}

void Server::arrived(net::Accepted connection) {
  net::StreamSocket& socket = connection.socket;
  const auto& from = connection.peer;
  if (!from) return;  // it has gone already
  const auto& proxies = context_->options.proxies;
  if (proxies.empty()) return admit(std::move(socket), *from, true);
  if (!relay::is_trusted_proxy(proxies, place_of(*from)))
    return turn_away(socket, *from, "no PROXY protocol header is taken from there");
  if (heard_.size() >= kMostHeard)
    return turn_away(socket, *from, "too many PROXY protocol headers have not come");
  const auto give_up = heard_.emplace(heard_.end());
  asio::co_spawn(executor_, hear(std::move(socket), *from),
                 asio::bind_cancellation_slot(give_up->slot(), [this, give_up](const std::exception_ptr&) {
                   heard_.erase(give_up);
                   changed_.wake();
                 }));
}

relay::Task<void> Server::hear(net::StreamSocket socket, asio::ip::tcp::endpoint proxy) {
  auto heard = co_await relay::take_announced(std::move(socket), kHeaderPatience);
  if (stopped_) co_return;
  if (!heard) co_return log_not_heard(proxy, heard.error().message);
  // A health check, or somebody whom the proxy does not know: that must not keep its other clients out.
  const auto visitor = heard->visit ? visitor_of(*heard->visit) : std::nullopt;
  admit(std::move(heard->socket), visitor.value_or(proxy), visitor.has_value());
}

void Server::admit(net::StreamSocket socket, const asio::ip::tcp::endpoint& from, bool is_theirs) {
  const auto answers = is_theirs ? std::optional(net::ip_address_of(from.address())) : std::nullopt;
  const auto admission = context_->guard.lock()->arrived(answers, monotonic_now());
  if (admission.refused != Guard::Refused::no) {
    const std::string reason =
        admission.refused == Guard::Refused::penalized
            ? fmt::format("penalized for another {} s",
                          std::chrono::duration_cast<std::chrono::seconds>(admission.penalty).count())
            : std::string("it has too many connections without a login");
    return turn_away(socket, from, reason);
  }
  if (admission.leaving) {
    if (const auto oldest = clients_.find(*admission.leaving); oldest != clients_.end()) {
      log(LogLevel::verbose, "too many connections without a login: the oldest one has to go");
      post(*oldest->second, [ticket = oldest->first](Lane& lane) { lane.make_room(ticket); });
    }
  }
  serve(std::move(socket), admission.ticket, from);
}

// On the thread that has the fewest.
void Server::serve(net::StreamSocket socket, Guard::Ticket ticket, const asio::ip::tcp::endpoint& from) {
  Thread& thread = *std::ranges::min_element(threads_, {}, &Thread::clients);
  ++thread.clients;
  clients_[ticket] = &thread;
  // Nobody else would close it if the thread has stopped.
  const auto descriptor = std::make_shared<net::UniqueFd>(socket.release());
  post(thread, [this, descriptor, ticket, from](Lane& lane) {
    auto adopted = net::adopt(lane.executor(), descriptor->release());
    if (adopted) return lane.serve(*std::move(adopted), ticket, from);
    log(LogLevel::error, "cannot serve {}: {}", from.address().to_string(), adopted.error().message);
    context_->guard.lock()->ended(ticket, Leaving::quietly, monotonic_now());
    net::post_from_outside(executor_, [this, ticket] { gone(ticket); });
  });
}

void Server::gone(Guard::Ticket ticket) {
  const auto client = clients_.find(ticket);
  --client->second->clients;
  clients_.erase(client);
  somebody_left_ = true;
  changed_.wake();
}

void Server::post(Thread& thread, std::function<void(Lane&)> what) {
  Lane& lane = *thread.lane;
  net::post_from_outside(lane.executor(), [&lane, what = std::move(what)] { what(lane); });
}

void Server::post_to_all(const std::function<void(Lane&)>& what) {
  for (Thread& thread : threads_) post(thread, what);
}

void Server::tell() {
  const std::size_t waiting = context_->guard.lock()->waiting();
  log_event(LogLevel::notice, "sessions", "{} sessions, and {} connections without a login",
            field("sessions", context_->logged_in.now()), field("waiting", waiting));
  post_to_all([](Lane& lane) { lane.tell(); });
}

void Server::stop(Duration time) {
  if (std::exchange(stopped_, !failed_ || stopped_)) return;
  for (net::Listener& listener : listeners_) listener.close();
  for (asio::cancellation_signal& one : heard_) one.emit(asio::cancellation_type::terminal);
  post_to_all([time](Lane& lane) { lane.stop(time); });
}

}  // namespace culvert::server
