// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/protocol_keeper.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "net/addresses.hpp"
#include "net/yield.hpp"

namespace culvert::mapper {

namespace asio = boost::asio;

namespace {

asio::ip::address announcement_group(const asio::ip::address& family_of) {
  return asio::ip::make_address(family_of.is_v4() ? "224.0.0.1" : "ff02::1");
}

}  // namespace

ProtocolKeeper::ProtocolKeeper(gateway::Dialect dialect, const net::DefaultRoute& route,
                               std::span<const Port> ports, std::chrono::seconds lifetime,
                               crypto::Random& random, KeeperListener& listener,
                               const asio::any_io_executor& executor)
    : dialect_(dialect),
      route_(route),
      ports_(ports.begin(), ports.end()),
      listener_(listener),
      client_({.dialect = dialect,
               .here = net::ip_address_of(route.here),
               .lifetime = static_cast<std::uint32_t>(lifetime.count())},
              random),
      changed_(executor),
      tasks_(changed_, [this](Error error) { broken_ = std::move(error); }) {}

std::string ProtocolKeeper::name() const { return dialect_ == gateway::Dialect::pcp ? "PCP" : "NAT-PMP"; }

relay::Task<Result<void>> ProtocolKeeper::run() {
  CO_TRY(open_ports());
  tasks_.spawn(hear());
  if (announcements_) tasks_.spawn(hear_announcements());
  auto why = co_await work();
  port_->close();
  if (announcements_) announcements_->close();
  co_await tasks_.all_ended();
  if (why) co_return std::unexpected(std::move(*why));
  co_return Result<void>();
}

Result<void> ProtocolKeeper::open_ports() {
  const auto executor = changed_.executor();
  port_.emplace(
      TRY(net::DatagramPort::connect(executor, route_.here, {route_.gateway, gateway::kServerPort})));
  auto announcements = net::DatagramPort::join(
      executor, {announcement_group(route_.gateway), gateway::kClientPort}, route_.index);
  // Without announcements a restart shows when the next answer does.
  if (announcements) announcements_.emplace(std::move(*announcements));
  return {};
}

relay::Task<std::optional<Error>> ProtocolKeeper::work() {
  if (stopping_) co_return std::nullopt;
  const Instant begin = monotonic_now();
  for (const Port& one : ports_) (void)client_.add(one.protocol, one.inside, one.outside, one.nonce, begin);
  prospects_.emplace(ports_.size(), begin);
  while (!abandoned_) {
    drive();
    if (auto why = hopeless()) co_return why;
    if (stopping_ && prospects_->all_ended()) break;
    const Instant now = monotonic_now();
    Instant next = std::min(client_.next_deadline(), now + std::chrono::hours(1));
    if (prospects_->deadline() > now) next = std::min(next, prospects_->deadline());
    co_await changed_.wait(std::max(next - now, Duration(std::chrono::milliseconds(1))));
  }
  co_return std::nullopt;
}

relay::Task<void> ProtocolKeeper::hear() {
  while (!broken_) {
    const auto heard = co_await port_->receive();
    if (heard) {
      client_.receive(heard->bytes, monotonic_now());
    } else if (heard.error().code == Errc::cancelled) {
      break;
    } else if (heard.error().detail != ECONNREFUSED) {
      broken_ = heard.error();
    } else if (!client_.was_answered()) {
      // Who has answered before may be starting again.
      broken_ = Error{Errc::closed, "it does not speak it"};
    }
    changed_.wake();
    co_await net::yield();
  }
}

relay::Task<void> ProtocolKeeper::hear_announcements() {
  for (;; co_await net::yield()) {
    const auto heard = co_await announcements_->receive();
    if (!heard) break;
    if (heard->from.address() != route_.gateway || heard->from.port() != gateway::kServerPort) continue;
    client_.announced(heard->bytes, monotonic_now());
    changed_.wake();
  }
}

void ProtocolKeeper::drive() {
  client_.advance(monotonic_now());
  while (const auto datagram = client_.next_output()) {
    // An error of one before it (ICMP) shows in receive(), too; a network that is down is one without
    // answers.
    (void)port_->send(*datagram);
  }
  while (const auto event = client_.next_event()) take(*event);
}

void ProtocolKeeper::take(const gateway::Event& event) {
  if (const auto* granted = std::get_if<gateway::Granted>(&event)) {
    prospects_->opened(granted->mapping);
    listener_.opened(granted->mapping, {granted->outside_address, granted->outside, granted->lifetime});
  } else if (const auto* refused = std::get_if<gateway::Refused>(&event)) {
    const std::string why(gateway::describe(refused->status));
    prospects_->refused(refused->mapping, why);
    listener_.refused(refused->mapping, why);
  } else if (const auto* lost = std::get_if<gateway::Lost>(&event)) {
    listener_.lost(lost->mapping, prospects_->lost(lost->mapping, monotonic_now()));
  } else if (const auto* removed = std::get_if<gateway::Removed>(&event)) {
    prospects_->ended(removed->mapping);
    tell_removed(*removed);
  } else if (std::holds_alternative<gateway::Restarted>(event)) {
    listener_.restarted();
  } else {
    broken_ = Error{Errc::unsupported, "it does not speak it"};
  }
}

void ProtocolKeeper::tell_removed(const gateway::Removed& removed) {
  if (removed.status != gateway::Status::success) {
    listener_.kept(removed.mapping, std::nullopt, std::string(gateway::describe(removed.status)));
  } else if (removed.left > Duration::zero()) {
    listener_.kept(removed.mapping, removed.left, "it closes no port before its time");
  } else {
    listener_.closed(removed.mapping);
  }
}

std::optional<Error> ProtocolKeeper::hopeless() const {
  if (stopping_) return std::nullopt;
  return broken_ ? broken_ : prospects_->hopeless(monotonic_now());
}

void ProtocolKeeper::stop() {
  if (std::exchange(stopping_, true)) return;
  const Instant now = monotonic_now();
  for (std::size_t i = 0; prospects_ && i < ports_.size(); ++i) client_.remove(i, now);
  changed_.wake();
}

void ProtocolKeeper::abandon() {
  abandoned_ = true;
  changed_.wake();
}

void ProtocolKeeper::refresh() {
  if (stopping_) return;
  client_.refresh(monotonic_now());
  changed_.wake();
}

}  // namespace culvert::mapper
