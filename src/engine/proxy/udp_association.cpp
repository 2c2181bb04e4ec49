// SPDX-License-Identifier: Apache-2.0
//
//     client --> its socket --> header read, destination judged --> IPv4 or IPv6 socket --> anybody
//     client <-- its socket <-- header written <-- from those the client has written to <-- anybody
#include "engine/proxy/udp_association.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/this_coro.hpp>

#include "base/complaint.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "engine/proxy/name_cache.hpp"
#include "engine/relay/datagram_meter.hpp"
#include "engine/relay/flow_key.hpp"
#include "engine/relay/flow_table.hpp"
#include "engine/relay/scratch.hpp"
#include "engine/relay/signal.hpp"
#include "net/addresses.hpp"
#include "net/cancelled.hpp"
#include "net/ready_set.hpp"
#include "net/udp_inbox.hpp"
#include "net/udp_outbox.hpp"
#include "net/udp_socket.hpp"
#include "net/yield.hpp"
#include "proto/socks/udp_header.hpp"

namespace culvert::proxy {

namespace asio = boost::asio;
using asio::ip::udp;

namespace {

constexpr std::size_t kPeers = 1024;
constexpr Duration kPeerTime = std::chrono::minutes(5);  // RFC 4787 REQ-5

udp::endpoint endpoint_of(const socks::Ipv6& address, std::uint16_t port) {
  return {net::unmapped(asio::ip::address_v6(address)), port};
}

socks::UdpHeader header_from(const udp::endpoint& peer) {
  const auto address = peer.address();
  return address.is_v4() ? socks::UdpHeader(address.to_v4().to_bytes(), peer.port())
                         : socks::UdpHeader(address.to_v6().to_bytes(), peer.port());
}

/// Each datagram of an arrival.
template <class Do>
void for_each_datagram(const net::UdpArrival& arrival, Do with) {
  ByteView rest = arrival.bytes;
  do {
    const ByteView one = rest.first(std::min(rest.size(), arrival.segment));
    with(one);
    rest = rest.subspan(one.size());
  } while (!rest.empty());
}

struct Known {};  // a peer: that there is one is all

}  // namespace

struct UdpAssociation::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor on, relay::DatagramCarrier& by, UdpClient whose, net::UdpListener listener,
        relay::Rates rates)
      : executor(std::move(on)),
        carrier(by),
        client(std::move(whose)),
        ready_set(executor),
        inside(std::move(listener)),
        meter(std::move(rates), inside.name()),
        child_ended(executor) {}

  void turn(std::span<const net::ReadySet::Ready> ready);
  void read_client(net::ReadySet::Member& watched);
  void take(ByteView datagram, const udp::endpoint& from);
  void send_to_name(std::string_view host, std::uint16_t port, ByteView data);
  void send(const udp::endpoint& to, ByteView data, bool is_judged = false);
  [[nodiscard]] Result<void> watch(net::UdpListener& socket);
  [[nodiscard]] net::UdpSocket* outside(const udp::endpoint& to);
  void read_outside(net::UdpListener& socket, net::ReadySet::Member& watched);
  void flush();
  void say_refused(const relay::Endpoint& destination, const relay::DialError& why);

  static relay::Task<void> watch_control(std::shared_ptr<State> state, relay::Stream& control);
  void start_look_up(relay::HostPort name);
  static relay::Task<void> look_up(std::shared_ptr<State> state, relay::HostPort name);
  void spawn(relay::Task<void> child);
  void stop();

  const asio::any_io_executor executor;
  relay::DatagramCarrier& carrier;
  const UdpClient client;
  net::ReadySet ready_set;
  net::UdpListener inside;                                  ///< the client writes to it
  std::array<std::optional<net::UdpListener>, 2> outsides;  ///< IPv4; IPv6, once it is needed
  /// Of those.
  std::vector<std::unique_ptr<net::ReadySet::Member>> members;
  std::optional<udp::endpoint> speaker;  ///< the client, once it has spoken
  relay::FlowTable<relay::FlowKey, Known, relay::FlowKeyHash> peers{kPeers, kPeerTime};
  NameCache names;
  relay::DatagramMeter meter;
  relay::CarriedDatagrams* totals = nullptr;  ///< while it runs
  Complaint refused;
  Instant now;

  // Of the turn.
  relay::DatagramScratch* scratch = nullptr;
  net::UdpSocket* leaves_from = nullptr;  ///< what is in the outbox
  std::array<socks::UdpHeader, net::UdpOutbox::kMost> headers;
  std::size_t header_count = 0;

  /// The coroutines beside run(), and what ends a look-up.
  std::list<asio::cancellation_signal> children;
  relay::Signal child_ended;
  bool stopping = false;
};

Result<UdpAssociation> UdpAssociation::open(const asio::any_io_executor& executor,
                                            relay::DatagramCarrier& carrier, UdpClient client,
                                            relay::Rates rates) {
  auto inside = TRY(net::listen_udp({client.reached_at, 0}));
  auto state =
      std::make_shared<State>(executor, carrier, std::move(client), std::move(inside), std::move(rates));
  TRY(state->watch(state->inside));
  return UdpAssociation(std::move(state));
}

UdpAssociation::~UdpAssociation() {
  if (state_) state_->stop();
}

udp::endpoint UdpAssociation::local() const { return state_->inside.local; }

relay::Task<void> UdpAssociation::run(relay::Stream& control, relay::CarriedDatagrams& so_far) {
  const auto state = state_;
  state->totals = &so_far;
  // After a cancellation what was started must still be waited for.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  state->scratch = &relay::thread_datagrams();
  state->spawn(State::watch_control(state, control));
  bool cancelled = false;
  while (!state->stopping && !cancelled) {
    const auto ready = state->ready_set.ready();
    if (ready.empty()) {
      (void)co_await state->ready_set.wait();
    } else {
      state->turn(ready);
      co_await net::yield();
    }
    cancelled = net::is_cancelled(co_await asio::this_coro::cancellation_state);
  }
  state->stop();
  cancelled ? control.abort() : control.close();  // ends the watch, too
  while (!state->children.empty()) co_await state->child_ended.wait();
  co_await asio::this_coro::throw_if_cancelled(throws);
  state->totals->dropped += state->meter.dropped();
}

void UdpAssociation::State::turn(std::span<const net::ReadySet::Ready> ready) {
  now = monotonic_now();
  for (const auto& one : ready) {
    if (one.owner == &inside) {
      read_client(*one.member);
    } else {
      read_outside(*static_cast<net::UdpListener*>(one.owner), *one.member);
    }
    flush();
    scratch->inbox.clear();
  }
}

void UdpAssociation::State::read_client(net::ReadySet::Member& watched) {
  if (scratch->inbox.receive(inside.socket.fd.get(), watched).bytes == 0) return;
  for (const net::UdpArrival& arrival : scratch->inbox.arrivals())
    for_each_datagram(arrival, [&](ByteView datagram) { take(datagram, *arrival.from); });
}

void UdpAssociation::State::take(ByteView datagram, const udp::endpoint& from) {
  const bool is_client = speaker ? from == *speaker
                                 : from.address() == client.expected.address() &&
                                       (client.expected.port() == 0 || from.port() == client.expected.port());
  if (!is_client) {
    ++totals->dropped;
    return;
  }
  const auto request = socks::read_udp_request(datagram);
  if (!request) {
    ++totals->dropped;
    return;
  }
  if (!speaker) speaker = from;
  if (const auto* v4 = std::get_if<socks::Ipv4>(&request->host)) {
    send({asio::ip::address_v4(*v4), request->port}, request->data);
  } else if (const auto* v6 = std::get_if<socks::Ipv6>(&request->host)) {
    send(endpoint_of(*v6, request->port), request->data);
  } else {
    send_to_name(std::get<std::string_view>(request->host), request->port, request->data);
  }
}

void UdpAssociation::State::send_to_name(std::string_view host, std::uint16_t port, ByteView data) {
  // A name may be an address in letters: rules about addresses are asked then.
  if (const auto v4 = socks::parse_ipv4(host)) return send({asio::ip::address_v4(*v4), port}, data);
  if (const auto v6 = socks::parse_ipv6(host)) return send(endpoint_of(*v6, port), data);
  bool waits = false;
  const auto answer = names.find(host, port, data, now, waits);
  if (answer.look_up) start_look_up({std::string(host), port});
  if (answer.to) {
    send(*answer.to, data, true);
  } else if (!waits) {
    ++totals->dropped;
  }
}

void UdpAssociation::State::send(const udp::endpoint& to, ByteView data, bool is_judged) {
  while (auto* const old = peers.expired(now)) peers.remove(*old);
  const relay::FlowKey key(to, {}, 0);
  if (auto* const peer = peers.find(key)) {
    peers.touch(*peer, now);
  } else {
    if (!is_judged) {
      if (const auto judged = carrier.judge(to, client.origin); !judged) {
        ++totals->dropped;
        return say_refused(relay::HostPort{to.address().to_string(), to.port()}, judged.error());
      }
    }
    if (peers.full()) peers.remove(peers.oldest());
    peers.insert(key, {}, now);
  }
  net::UdpSocket* const socket = outside(to);
  if (socket == nullptr) {
    ++totals->dropped;
    return;
  }
  if (!meter.pass(relay::DatagramMeter::Way::out, data, data.size(), now)) return;
  if (leaves_from != socket || scratch->outbox.full()) flush();
  leaves_from = socket;
  scratch->outbox.add(data, data.size(), {&to});
}

Result<void> UdpAssociation::State::watch(net::UdpListener& socket) {
  members.push_back(TRY(ready_set.add(socket.socket.fd.get(), &socket)));
  return {};
}

net::UdpSocket* UdpAssociation::State::outside(const udp::endpoint& to) {
  auto& socket = outsides[to.address().is_v6() ? 1 : 0];
  if (!socket) {
    const auto source = carrier.source();
    auto opened = net::listen_udp(source ? udp::endpoint(*source, 0) : udp::endpoint(to.protocol(), 0));
    if (!opened || !watch(socket.emplace(std::move(*opened)))) {
      if (refused.is_due(now)) {
        log(LogLevel::warning, "{}: datagrams to {} are dropped: {}", inside.name(), net::to_text(to),
            opened ? "they cannot be waited for" : opened.error().message);
      }
      socket.reset();
      return nullptr;
    }
  }
  return &socket->socket;
}

void UdpAssociation::State::read_outside(net::UdpListener& socket, net::ReadySet::Member& watched) {
  if (scratch->inbox.receive(socket.socket.fd.get(), watched).bytes == 0) return;
  for (const net::UdpArrival& arrival : scratch->inbox.arrivals()) {
    auto* const peer = peers.find(relay::FlowKey(*arrival.from, {}, 0));
    if (peer == nullptr || !speaker) {
      totals->dropped += arrival.datagrams();
      continue;
    }
    peers.touch(*peer, now);
    const socks::UdpHeader header = header_from(*arrival.from);
    for_each_datagram(arrival, [&](ByteView datagram) {
      if (!meter.pass(relay::DatagramMeter::Way::in, datagram, datagram.size(), now)) return;
      if (scratch->outbox.full()) flush();
      leaves_from = &inside.socket;
      headers[header_count] = header;
      scratch->outbox.add(headers[header_count++].bytes(), datagram, {&*speaker});
    });
  }
}

void UdpAssociation::State::flush() {
  header_count = 0;
  if (scratch->outbox.empty()) return;
  const net::UdpSent sent = scratch->outbox.flush(*leaves_from);
  totals->datagrams += sent.datagrams;
  totals->dropped += sent.dropped;
  (leaves_from == &inside.socket ? totals->bytes_in : totals->bytes_out) += sent.bytes;
}

void UdpAssociation::State::say_refused(const relay::Endpoint& destination, const relay::DialError& why) {
  if (!refused.is_due(now)) return;
  log_event(LogLevel::notice, "flow_refused", "{} -> {}: {}{}", inside.name(), destination,
            field("reason", why.message), why.hint, field("destination", destination),
            field("origin", client.origin));
}

// The client's connection says nothing more; that it ends is what counts.
relay::Task<void> UdpAssociation::State::watch_control(std::shared_ptr<State> state, relay::Stream& control) {
  while (!state->stopping) {
    const auto lent = co_await control.read();
    if (!lent || lent->empty()) break;
    control.consume(size_of(*lent));
    co_await net::yield();
  }
  state->stop();
}

void UdpAssociation::State::start_look_up(relay::HostPort name) {
  spawn(look_up(shared_from_this(), std::move(name)));
}

relay::Task<void> UdpAssociation::State::look_up(std::shared_ptr<State> state, relay::HostPort name) {
  // Not within the turn that asks: what is found at once would be sent in the middle of it.
  co_await net::yield();
  const auto found = co_await state->carrier.look_up(name, state->client.origin);
  if (state->stopping) co_return;
  state->now = monotonic_now();
  if (!found) state->say_refused(name, found.error());
  const auto to = found ? std::optional(found->front()) : std::nullopt;
  const auto waited = state->names.learn(name, to, state->now);
  for (const Bytes& data : waited) {
    if (to) {
      state->send(*to, data, true);
    } else {
      ++state->totals->dropped;
    }
  }
  state->flush();
}

void UdpAssociation::State::spawn(relay::Task<void> child) {
  const auto signal = children.emplace(children.end());
  asio::co_spawn(executor, std::move(child),
                 asio::bind_cancellation_slot(
                     signal->slot(), [state = shared_from_this(), signal](const std::exception_ptr&) {
                       state->children.erase(signal);
                       state->child_ended.wake();
                     }));
}

void UdpAssociation::State::stop() {
  if (std::exchange(stopping, true)) return;
  ready_set.close();
  // co_spawn of Boost 1.81 hands a cancellation to the executor and keeps nothing alive for it.
  asio::dispatch(executor, [state = shared_from_this()] {
    for (auto child = state->children.begin(); child != state->children.end();)
      (child++)->emit(asio::cancellation_type::terminal);  // which may end it at once
  });
}

}  // namespace culvert::proxy
