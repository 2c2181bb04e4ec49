// SPDX-License-Identifier: Apache-2.0
//
//     clients --> listener: recvmmsg --> a chain for each flow --> its socket: sendmmsg --> target
//     clients <-- listener: sendmmsg <-- one batch <-- its socket: recvmmsg, all that are ready <-- target
//
// A turn goes that way once, the lower line first. What it has received lies in memory that all forwards of
// the thread share, and has been sent or dropped when the turn ends.
#include "engine/relay/datagram_forward.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/complaint.hpp"
#include "base/log.hpp"
#include "engine/relay/datagram_meter.hpp"
#include "engine/relay/flow_key.hpp"
#include "engine/relay/flow_table.hpp"
#include "engine/relay/scratch.hpp"
#include "net/cancelled.hpp"
#include "net/descriptor_relief.hpp"
#include "net/ready_set.hpp"
#include "net/timer.hpp"
#include "net/udp_inbox.hpp"
#include "net/udp_outbox.hpp"
#include "net/yield.hpp"

namespace culvert::relay {

namespace asio = boost::asio;
using asio::ip::udp;

namespace {

/// A flood must not keep the thread for itself.
constexpr int kTurnsBeforeOthers = 4;
/// How often the clock of idle flows may ring within the time that they are allowed.
constexpr int kExpiriesInIdleTime = 32;
/// What a flow gave up may be taken by another thread.
constexpr int kTriesToMakeRoom = 4;
constexpr std::int8_t kNone = -1;

struct Flow {
  std::optional<StreamLimit::Place> place;
  net::UdpSocket socket;
  udp::endpoint target;
  udp::endpoint client;
  asio::ip::address local;  ///< of ours, that the client writes to
  net::UdpListener* listener;
  bool has_answer = false;
  /// What it has to send in this turn: a chain of arrivals.
  std::int8_t first = kNone;
  std::int8_t last = kNone;
  std::unique_ptr<net::ReadySet::Member> watched = {};
};
static_assert(net::UdpInbox::kSlots <= 127);

std::string name_of(const std::vector<net::UdpListener>& listeners, const DatagramTarget& target) {
  CULVERT_ASSERT(!listeners.empty());
  return fmt::format("{} -> {}", listeners.front().name(), target.name());
}

/// There is no more of something that a flow takes: the oldest flow has one.
bool is_exhaustion(const Error& error) {
  if (error.code == Errc::limit) return true;
  switch (error.detail) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:      // watches of epoll
    case EAGAIN:      // local ports
    case EADDRINUSE:  // the one port that was asked for
      return true;
    default:
      return false;
  }
}

}  // namespace

struct DatagramForward::State : std::enable_shared_from_this<State>, net::DescriptorHolder {
  using Table = FlowTable<FlowKey, Flow, FlowKeyHash>;
  using Entry = Table::Entry;

  State(std::vector<net::UdpListener> made, std::unique_ptr<DatagramTarget> to, DatagramOptions with)
      : listeners(std::move(made)),
        target(std::move(to)),
        options(std::move(with)),
        meter(options.rates, name_of(listeners, *target), options.context),
        flows(options.most_flows, options.idle_time) {}

  ~State() override {
    if (options.limit) options.limit->remove(*this);
  }

  [[nodiscard]] Result<void> begin(const asio::any_io_executor& executor);
  void turn(std::span<const net::ReadySet::Ready> ready, Instant now);
  void stop();

  void read_flow(Entry& entry, Instant now);
  void send_replies();
  void read_listener(net::UdpListener& listener, net::ReadySet::Member& watched, Instant now);
  void send_chain(Entry& entry, Instant now);
  [[nodiscard]] Entry* flow_of(const net::UdpArrival& arrival, net::UdpListener& listener, Instant now);
  [[nodiscard]] Entry* begin_flow(const FlowKey& key, const net::UdpArrival& arrival,
                                  net::UdpListener& listener, Instant now);
  [[nodiscard]] Result<net::UdpSocket> connect_flow(const udp::endpoint& to,
                                                    const udp::endpoint& client) const;
  [[nodiscard]] Result<Entry*> open_flow(const FlowKey& key, const net::UdpArrival& arrival,
                                         net::UdpListener& listener, const udp::endpoint& to, Instant now);
  void end_flow(Entry& entry, DatagramTarget::End how);
  [[nodiscard]] bool make_room(const Error& missing);
  void evict_oldest();
  [[nodiscard]] std::size_t held_descriptors() const override { return flows.size(); }
  void give_up_oldest() override { evict_oldest(); }
  void count_in(const net::UdpSent& sent);
  void expire_later(Instant now);
  void expire();
  void say_refused(const net::UdpListener& listener, const udp::endpoint& client, const Error& why,
                   Instant now);

  [[nodiscard]] bool is_listener(const void* owner) const {
    const std::less<const void*> before;
    return !before(owner, listeners.data()) && before(owner, listeners.data() + listeners.size());
  }

  std::vector<net::UdpListener> listeners;  ///< where they are: what the ready set names
  const std::unique_ptr<DatagramTarget> target;
  const DatagramOptions options;
  DatagramMeter meter;
  net::DescriptorRelief* relief = nullptr;  ///< of the thread that runs it
  std::optional<net::ReadySet> ready_set;
  std::vector<std::unique_ptr<net::ReadySet::Member>> watched_listeners;
  Table flows;
  DatagramCounters totals;
  std::optional<net::Timer> expiry;
  bool expiry_runs = false;
  bool stopping = false;

  // Of the turn.
  DatagramScratch* scratch = nullptr;                     ///< of the thread that runs it
  net::UdpListener* replies_from = nullptr;               ///< what is in the outbox
  std::array<std::int8_t, net::UdpInbox::kSlots> next{};  ///< of the arrival with this number, in its chain
  std::array<Entry*, net::UdpInbox::kSlots> senders{};    ///< that have a chain; null: gone
  std::size_t sender_count = 0;

  Complaint refused;
  Complaint exhausted;
};

DatagramForward::DatagramForward(std::vector<net::UdpListener> listeners,
                                 std::unique_ptr<DatagramTarget> target, DatagramOptions options)
    : state_(std::make_shared<State>(std::move(listeners), std::move(target), std::move(options))) {}

DatagramForward::~DatagramForward() { stop(); }

Task<Result<void>> DatagramForward::run() {
  const auto state = state_;
  CO_TRY(state->begin(co_await asio::this_coro::executor));
  for (net::Rounds rounds(kTurnsBeforeOthers); !state->stopping;) {
    const auto ready = state->ready_set->ready();
    if (ready.empty()) {
      rounds.begin();
      const auto waited = co_await state->ready_set->wait();
      if (!waited && !state->stopping) co_return waited;
      continue;
    }
    if (state->flows.empty()) {  // so they are listeners
      co_await state->target->ready();
      if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
      if (state->stopping) break;
    }
    state->turn(ready, monotonic_now());
    if (!rounds.make_a_turn()) continue;
    co_await net::yield();
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
  }
  co_return Result<void>();
}

void DatagramForward::stop() { state_->stop(); }

DatagramCounters DatagramForward::counters() const {
  DatagramCounters counters = state_->totals;
  counters.flows_live = state_->flows.size();
  counters.over_rate = state_->meter.dropped();
  counters.dropped += counters.over_rate;
  return counters;
}

std::string DatagramForward::name() const { return state_->listeners.front().name(); }

std::uint16_t DatagramForward::port() const { return state_->listeners.front().local.port(); }

Result<void> DatagramForward::State::begin(const asio::any_io_executor& executor) {
  scratch = &thread_datagrams();
  relief = &net::DescriptorRelief::of(executor);
  relief->add(*this);
  if (options.limit) options.limit->add(*this);
  ready_set.emplace(executor);
  expiry.emplace(executor);
  for (net::UdpListener& listener : listeners)
    watched_listeners.push_back(TRY(ready_set->add(listener.socket.fd.get(), &listener)));
  return {};
}

// Flows before listeners: what these bring may evict a flow, and what is ready of that would name nothing.
void DatagramForward::State::turn(std::span<const net::ReadySet::Ready> ready, Instant now) {
  for (const auto& one : ready) {
    if (!is_listener(one.owner)) read_flow(*static_cast<Entry*>(one.owner), now);
  }
  send_replies();
  for (const auto& one : ready) {
    if (is_listener(one.owner)) read_listener(*static_cast<net::UdpListener*>(one.owner), *one.member, now);
  }
}

void DatagramForward::State::read_flow(Entry& entry, Instant now) {
  Flow& flow = entry.flow;
  const int socket = flow.socket.fd.get();
  const int error = flow.watched->take_error_seen() ? net::take_udp_error(socket) : 0;
  if (error == ECONNREFUSED) return end_flow(entry, DatagramTarget::End::refused);
  const std::size_t before = scratch->inbox.arrivals().size();
  const net::Transferred got = scratch->inbox.receive(socket, *flow.watched);
  if (got.error == ECONNREFUSED) return end_flow(entry, DatagramTarget::End::refused);
  if (got.bytes == 0) return;
  flows.touch(entry, now);
  if (!std::exchange(flow.has_answer, true)) target->answered(flow.target);
  if (replies_from != flow.listener && !scratch->outbox.empty())
    count_in(scratch->outbox.flush(replies_from->socket));
  replies_from = flow.listener;
  for (const net::UdpArrival& arrival : scratch->inbox.arrivals().subspan(before)) {
    if (const auto bytes = meter.pass(DatagramMeter::Way::in, arrival.bytes, arrival.segment, now))
      scratch->outbox.add(*bytes, arrival.segment, {&flow.client, flow.local});
  }
  if (scratch->inbox.full()) send_replies();
}

void DatagramForward::State::send_replies() {
  if (!scratch->outbox.empty()) count_in(scratch->outbox.flush(replies_from->socket));
  scratch->inbox.clear();
}

void DatagramForward::State::count_in(const net::UdpSent& sent) {
  totals.datagrams_in += sent.datagrams;
  totals.bytes_in += sent.bytes;
  totals.dropped += sent.dropped;
}

void DatagramForward::State::read_listener(net::UdpListener& listener, net::ReadySet::Member& watched,
                                           Instant now) {
  const int socket = listener.socket.fd.get();
  if (watched.take_error_seen()) (void)net::take_udp_error(socket);
  if (scratch->inbox.receive(socket, watched).bytes == 0) return;
  const net::UdpArrival* previous = nullptr;
  Entry* entry = nullptr;
  const auto arrivals = scratch->inbox.arrivals();
  for (std::size_t i = 0; i < arrivals.size(); ++i) {
    const net::UdpArrival& arrival = arrivals[i];
    const bool same = previous != nullptr && *previous->from == *arrival.from && previous->to == arrival.to;
    if (!same || entry == nullptr) entry = flow_of(arrival, listener, now);
    previous = &arrival;
    if (entry == nullptr) {
      totals.dropped += arrival.datagrams();
      continue;
    }
    Flow& flow = entry->flow;
    const auto number = static_cast<std::int8_t>(i);
    next[i] = kNone;
    if (flow.first == kNone) {
      flow.first = number;
      senders[sender_count++] = entry;
    } else {
      next[static_cast<std::size_t>(flow.last)] = number;
    }
    flow.last = number;
  }
  for (std::size_t i = 0; i < sender_count; ++i) {
    if (senders[i] != nullptr) send_chain(*senders[i], now);
  }
  sender_count = 0;
  scratch->inbox.clear();
}

void DatagramForward::State::send_chain(Entry& entry, Instant now) {
  Flow& flow = entry.flow;
  const auto arrivals = scratch->inbox.arrivals();
  for (std::int8_t i = flow.first; i != kNone; i = next[static_cast<std::size_t>(i)]) {
    const net::UdpArrival& arrival = arrivals[static_cast<std::size_t>(i)];
    if (const auto bytes = meter.pass(DatagramMeter::Way::out, arrival.bytes, arrival.segment, now))
      scratch->outbox.add(*bytes, arrival.segment);
  }
  flow.first = kNone;
  const net::UdpSent sent = scratch->outbox.flush(flow.socket);
  totals.datagrams_out += sent.datagrams;
  totals.bytes_out += sent.bytes;
  totals.dropped += sent.dropped;
  if (sent.error == ECONNREFUSED) end_flow(entry, DatagramTarget::End::refused);
}

DatagramForward::State::Entry* DatagramForward::State::flow_of(const net::UdpArrival& arrival,
                                                               net::UdpListener& listener, Instant now) {
  const FlowKey key(*arrival.from, arrival.to, static_cast<std::uint16_t>(&listener - listeners.data()));
  Entry* const known = flows.find(key);
  if (known == nullptr) return begin_flow(key, arrival, listener, now);
  if (known->flow.first == kNone && target->is_lost(known->flow.target)) {  // it has nothing of this turn
    end_flow(*known, DatagramTarget::End::cut);
    return begin_flow(key, arrival, listener, now);
  }
  flows.touch(*known, now);
  return known;
}

DatagramForward::State::Entry* DatagramForward::State::begin_flow(const FlowKey& key,
                                                                  const net::UdpArrival& arrival,
                                                                  net::UdpListener& listener, Instant now) {
  const auto to = target->choose(*arrival.from);
  if (!to) {
    say_refused(listener, *arrival.from, to.error(), now);
    return nullptr;
  }
  if (flows.full()) evict_oldest();
  auto opened = open_flow(key, arrival, listener, *to, now);
  for (int tries = 0; !opened && is_exhaustion(opened.error()) && tries < kTriesToMakeRoom; ++tries) {
    if (!flows.empty() && exhausted.is_due(now)) {
      log(LogLevel::warning, "{}: no more than {} flows: {}: ending the oldest for each new one",
          listener.name(), flows.size(), opened.error().message);
    }
    if (!make_room(opened.error())) break;
    opened = open_flow(key, arrival, listener, *to, now);
  }
  if (opened) {
    ++totals.flows_ever;
    relief->got((*opened)->flow.socket.fd.get());
    expire_later(now);
    return *opened;
  }
  target->ended(*to, DatagramTarget::End::cut);
  say_refused(listener, *arrival.from, opened.error(), now);
  return nullptr;
}

Result<DatagramForward::State::Entry*> DatagramForward::State::open_flow(const FlowKey& key,
                                                                         const net::UdpArrival& arrival,
                                                                         net::UdpListener& listener,
                                                                         const udp::endpoint& to,
                                                                         Instant now) {
  auto place = options.limit ? options.limit->enter() : std::nullopt;
  if (options.limit && !place) return fail(Errc::limit, "flows may take no more local ports");
  Flow flow{std::move(place), TRY(connect_flow(to, *arrival.from)), to, *arrival.from, arrival.to, &listener};
  Entry& entry = flows.insert(key, std::move(flow), now);
  auto watched = ready_set->add(entry.flow.socket.fd.get(), &entry);
  if (!watched) {
    flows.remove(entry);
    return std::unexpected(std::move(watched).error());
  }
  entry.flow.watched = std::move(*watched);
  return &entry;
}

Result<net::UdpSocket> DatagramForward::State::connect_flow(const udp::endpoint& to,
                                                            const udp::endpoint& client) const {
  if (!options.transparent) return net::connect_udp(to, {options.source});
  auto connected = net::connect_udp(to, {client, true});
  if (connected || connected.error().detail != EADDRINUSE) return connected;
  return net::connect_udp(to, {udp::endpoint(client.address(), 0), true});
}

void DatagramForward::State::end_flow(Entry& entry, DatagramTarget::End how) {
  const Flow& flow = entry.flow;
  if (how == DatagramTarget::End::refused) {
    ++totals.flows_refused;
    log(LogLevel::verbose, "{} -> {}: the flow of {} has ended: nobody is at the target's port",
        flow.listener->name(), net::to_text(flow.target), net::to_text(flow.client));
  }
  target->ended(flow.target, how);
  flows.remove(entry);
}

// One of ours, or of those who have more to give of what is missing.
bool DatagramForward::State::make_room(const Error& missing) {
  if (flows.empty())
    return missing.code == Errc::limit && options.limit ? options.limit->make_room() : relief->make_room();
  evict_oldest();
  return true;
}

void DatagramForward::State::evict_oldest() {
  Entry& entry = flows.oldest();
  if (entry.flow.first != kNone) {  // it is of this turn: there are hardly any flows
    for (Entry*& sender : std::span(senders).first(sender_count)) {
      if (sender == &entry) sender = nullptr;
    }
    for (std::int8_t i = entry.flow.first; i != kNone; i = next[static_cast<std::size_t>(i)])
      totals.dropped += scratch->inbox.arrivals()[static_cast<std::size_t>(i)].datagrams();
  }
  ++totals.flows_evicted;
  end_flow(entry, DatagramTarget::End::cut);
}

// Flows are touched far more often than they expire: so the clock of the oldest is looked at when it rings.
void DatagramForward::State::expire_later(Instant now) {
  if (flows.empty() || std::exchange(expiry_runs, true)) return;
  expiry->expires_after(std::max(flows.next_deadline() - now, options.idle_time / kExpiriesInIdleTime));
  expiry->async_wait([state = shared_from_this()](const boost::system::error_code&) {
    state->expiry_runs = false;
    if (!state->stopping) state->expire();
  });
}

void DatagramForward::State::expire() {
  const Instant now = monotonic_now();
  while (Entry* const entry = flows.expired(now)) end_flow(*entry, DatagramTarget::End::expired);
  expire_later(now);
}

void DatagramForward::State::say_refused(const net::UdpListener& listener, const udp::endpoint& client,
                                         const Error& why, Instant now) {
  if (why.code == Errc::denied || !refused.is_due(now)) return;
  const HostPort origin{client.address().to_string(), client.port()};
  log_event(LogLevel::notice, "flow_refused", "{} -> {}: {}", listener.name(), target->name(),
            field("reason", why.message), options.context, field("origin", Endpoint(origin)));
}

void DatagramForward::State::stop() {
  if (std::exchange(stopping, true)) return;
  target->stop();
  if (ready_set) ready_set->close();
  if (expiry) expiry->cancel();
  while (!flows.empty()) end_flow(flows.oldest(), DatagramTarget::End::cut);
  watched_listeners.clear();
  for (net::UdpListener& listener : listeners) listener.socket.fd.reset();
}

}  // namespace culvert::relay
