// SPDX-License-Identifier: Apache-2.0
#include "engine/proxy/asked.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/assert.hpp"
#include "net/cancelled.hpp"

namespace culvert::proxy {

namespace asio = boost::asio;

namespace {

socks::Failure failure_for(relay::Refusal reason) {
  switch (reason) {
    case relay::Refusal::prohibited:
      return socks::Failure::prohibited;
    case relay::Refusal::network_unreachable:
      return socks::Failure::network_unreachable;
    case relay::Refusal::unreachable:
      return socks::Failure::host_unreachable;
    case relay::Refusal::connection_refused:
      return socks::Failure::connection_refused;
    case relay::Refusal::timed_out:
      return socks::Failure::timed_out;
    case relay::Refusal::unsupported:
      return socks::Failure::unsupported;
    case relay::Refusal::overloaded:
      return socks::Failure::overloaded;
    case relay::Refusal::closed:
      break;
  }
  return socks::Failure::general;
}

socks::Address socks_address(const relay::Endpoint& endpoint) {
  const auto* place = std::get_if<relay::HostPort>(&endpoint);
  return place == nullptr ? socks::Address{} : socks::Address{place->host, place->port};
}

std::optional<relay::Endpoint> destination_of(Conversation& conversation) {
  const socks::Address& where = conversation.server().request().where;
  return relay::HostPort{where.host, where.port};
}

// IPv4 as IPv6 writes it, so that both spellings of one address are the same.
std::optional<socks::Ipv6> as_ipv6(const std::string& host) {
  const auto v4 = socks::parse_ipv4(host);
  return socks::parse_ipv6(v4 ? "::ffff:" + host : host);
}

bool is_any(const socks::Ipv6& address) { return address == socks::Ipv6{} || address == as_ipv6("0.0.0.0"); }

}  // namespace

Asked::Asked(asio::any_io_executor executor, std::unique_ptr<Conversation> conversation,
             relay::KnownVisit visit, Duration patience)
    : executor_(std::move(executor)),
      conversation_(std::move(conversation)),
      destination_(destination_of(*conversation_)),
      visit_(std::move(visit)),
      patience_(patience) {}

Asked::~Asked() {
  if (conversation_) refuse(relay::Refusal::closed);
}

std::unique_ptr<relay::Stream> Asked::accept() {
  CULVERT_ASSERT(conversation_ && conversation_->server().state() == socks::Server::State::served);
  CULVERT_ASSERT(conversation_->server().output().empty());
  return std::exchange(conversation_, nullptr)->take_stream();
}

void Asked::refuse(relay::Refusal reason) {
  CULVERT_ASSERT(conversation_ != nullptr);
  auto conversation = std::exchange(conversation_, nullptr);
  const auto state = conversation->server().state();
  const bool waits = state == socks::Server::State::requested || state == socks::Server::State::listening;
  if (reason == relay::Refusal::closed || !waits) return conversation->stream().abort();
  conversation->server().refuse(failure_for(reason));
  say_goodbye(executor_, std::move(conversation), patience_);
}

bool Asked::wants_listener() const {
  return conversation_->server().request().command == socks::Command::bind;
}

relay::Task<Result<void>> Asked::tell_connected() {
  conversation_->server().connected();
  return conversation_->speak(patience_);
}

relay::Task<Result<void>> Asked::tell_listening(const relay::Endpoint& where) {
  conversation_->server().listening(socks_address(where));
  return conversation_->speak(patience_);
}

// RFC 1928 section 4: DST.ADDR is there to evaluate who comes. A name says nothing, since the far end would
// have to resolve it; neither does an address of zeros.
bool Asked::expects(const relay::Endpoint& peer) const {
  const auto wanted = as_ipv6(std::get<relay::HostPort>(*destination_).host);
  return !wanted || is_any(*wanted) || as_ipv6(socks_address(peer).host) == wanted;
}

relay::Task<Result<void>> Asked::tell_arrived(const relay::Endpoint& peer) {
  conversation_->server().arrived(socks_address(peer));
  return conversation_->speak(patience_);
}

relay::Task<void> Asked::gone() {
  const auto lent = co_await conversation_->stream().read();
  if (!lent || lent->empty()) co_return;
  // Early data. Behind it nothing can be seen, so only the clock ends the wait.
  conversation_->stream().keep();
  asio::steady_timer never(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
  (void)co_await never.async_wait(asio::as_tuple(asio::use_awaitable));
}

}  // namespace culvert::proxy
