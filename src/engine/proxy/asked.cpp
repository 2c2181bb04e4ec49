// SPDX-License-Identifier: Apache-2.0
#include "engine/proxy/asked.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "base/assert.hpp"
#include "engine/proxy/udp_association.hpp"
#include "engine/relay/socket_stream.hpp"
#include "net/as_tuple.hpp"
#include "net/cancelled.hpp"
#include "net/socket.hpp"
#include "net/timer.hpp"

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
    case relay::Refusal::no_source:
      return socks::Failure::host_unreachable;
    case relay::Refusal::connection_refused:
      return socks::Failure::connection_refused;
    case relay::Refusal::timed_out:
      return socks::Failure::timed_out;
    case relay::Refusal::unsupported:
      return socks::Failure::unsupported;
    case relay::Refusal::overloaded:
    case relay::Refusal::too_many_names:
      return socks::Failure::overloaded;
    case relay::Refusal::closed:
      break;
  }
  return socks::Failure::general;
}

// A reply has no place for a zone.
socks::Address socks_address(const relay::Endpoint& endpoint) {
  const auto* place = std::get_if<relay::HostPort>(&endpoint);
  if (place == nullptr) return {};
  return {place->host.substr(0, place->host.find('%')), place->port};
}

// A request has no place for a zone, either: an address of a link is one of the link that it came by.
asio::ip::address in_zone_of(const asio::ip::address& peer, const asio::ip::address& address) {
  if (!address.is_v6() || !address.to_v6().is_link_local() || !peer.is_v6()) return address;
  return asio::ip::address_v6(address.to_v6().to_bytes(), peer.to_v6().scope_id());
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
             relay::KnownVisit visit, Options options)
    : executor_(std::move(executor)),
      conversation_(std::move(conversation)),
      destination_(destination_of(*conversation_)),
      visit_(std::move(visit)),
      options_(std::move(options)) {}

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
  say_goodbye(executor_, std::move(conversation), options_.patience);
}

bool Asked::wants_datagrams() const {
  return conversation_->server().request().command == socks::Command::associate;
}

relay::Task<relay::Carried> Asked::carry_datagrams(relay::DatagramCarrier& carrier, relay::Rates rates,
                                                   relay::CarriedDatagrams& so_far) {
  auto client = udp_client();
  if (!client) {
    co_return std::unexpected(
        relay::DialError{relay::Refusal::unsupported, "its client has no address to send datagrams from"});
  }
  auto association = UdpAssociation::open(executor_, carrier, std::move(*client), std::move(rates));
  if (!association) {
    co_return std::unexpected(
        relay::DialError{relay::refusal_for(association.error()), std::move(association.error().message)});
  }
  auto bound = association->local();
  if (options_.advertise) bound.address(*options_.advertise);
  conversation_->server().associated(
      socks_address(relay::HostPort{bound.address().to_string(), bound.port()}));
  if (!co_await conversation_->speak(options_.patience)) co_return relay::Carried();
  const auto stream = std::exchange(conversation_, nullptr)->take_stream();
  co_await association->run(*stream, so_far);
  co_return relay::Carried();
}

// RFC 1928 section 4: DST.ADDR and DST.PORT say where the datagrams will come from, if the client knows. An
// address of zeros, a name, or one of another family than the connection's: from where that comes from.
std::optional<UdpClient> Asked::udp_client() const {
  relay::SocketStream* const socket = conversation_->stream().kernel_socket();
  const auto here = reached_at();
  const auto peer = socket != nullptr ? net::peer_endpoint(socket->socket().native_handle()) : std::nullopt;
  if (!here || !peer) return std::nullopt;
  const auto& wanted = std::get<relay::HostPort>(*destination_);
  boost::system::error_code none;
  auto address = asio::ip::make_address(wanted.host, none);
  if (none || address.is_unspecified() || address.is_v4() != peer->address().is_v4())
    address = peer->address();
  return UdpClient{*here, {in_zone_of(peer->address(), address), wanted.port}, visit_.origin()};
}

bool Asked::wants_listener() const {
  return conversation_->server().request().command == socks::Command::bind;
}

relay::Task<Result<void>> Asked::tell_connected(const relay::Endpoint& here) {
  conversation_->server().connected(socks_address(here));
  return conversation_->speak(options_.patience);
}

// Zeros are nowhere that somebody could be told to come to.
relay::Task<Result<void>> Asked::tell_listening(const relay::Endpoint& where) {
  auto told = socks_address(where);
  if (const auto address = as_ipv6(told.host); address && is_any(*address)) {
    if (const auto at = options_.advertise ? options_.advertise : reached_at())
      told = socks_address(relay::HostPort{at->to_string(), told.port});
  }
  conversation_->server().listening(told);
  return conversation_->speak(options_.patience);
}

std::optional<asio::ip::address> Asked::reached_at() const {
  relay::SocketStream* const socket = conversation_->stream().kernel_socket();
  const auto here = socket != nullptr ? net::local_endpoint(socket->socket().native_handle()) : std::nullopt;
  return here ? std::optional(here->address()) : std::nullopt;
}

// RFC 1928 section 4: DST.ADDR is there to evaluate who comes. A name says nothing, since the far end would
// have to resolve it; neither does an address of zeros.
bool Asked::expects(const relay::Endpoint& peer) const {
  const auto wanted = as_ipv6(std::get<relay::HostPort>(*destination_).host);
  return !wanted || is_any(*wanted) || as_ipv6(socks_address(peer).host) == wanted;
}

relay::Task<Result<void>> Asked::tell_arrived(const relay::Endpoint& peer) {
  conversation_->server().arrived(socks_address(peer));
  return conversation_->speak(options_.patience);
}

relay::Task<void> Asked::gone() {
  const auto lent = co_await conversation_->stream().read();
  if (!lent || lent->empty()) co_return;
  // Early data. Behind it nothing can be seen, so only the clock ends the wait.
  conversation_->stream().keep();
  net::Timer never(co_await asio::this_coro::executor);
  (void)co_await never.async_wait(net::kTuple);
}

}  // namespace culvert::proxy
