// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/upnp_keeper.hpp"

#include <algorithm>
#include <utility>

#include "net/addresses.hpp"

namespace culvert::mapper {

namespace {

constexpr Duration kLookInterval = std::chrono::seconds(60);
constexpr std::chrono::seconds kLongestPinhole =
    std::chrono::hours(24);  // WANIPv6FirewallControl section 2.4

}  // namespace

UpnpKeeper::UpnpKeeper(const net::DefaultRoute& route, std::span<const Port> ports,
                       std::chrono::seconds lifetime, crypto::Random& random, KeeperListener& listener,
                       const boost::asio::any_io_executor& executor)
    : route_(route),
      lifetime_(lifetime),
      random_(random),
      listener_(listener),
      router_(route, executor),
      changed_(executor) {
  for (const Port& port : ports) held_.emplace_back().port = port;
}

relay::Task<Result<void>> UpnpKeeper::run() {
  auto kept = co_await keep();
  if (stopping_ && !abandoned_) co_await close_all();
  if (stopping_ || abandoned_) co_return Result<void>();
  co_return kept;
}

relay::Task<Result<void>> UpnpKeeper::keep() {
  CO_TRY(co_await router_.find());
  if (route_.here.is_v4()) {
    address_ = CO_TRY(co_await router_.outside_address());
  } else {
    address_ = net::ip_address_of(route_.here);
  }
  for (std::size_t i = 0; i < held_.size() && !stopping_ && !abandoned_; ++i) co_await hold(i);
  if (!any_open() && !stopping_ && !abandoned_)
    co_return std::unexpected(last_error_.value_or(Error{Errc::denied, "it opens nothing"}));

  Instant next_look = monotonic_now() + kLookInterval;
  while (!stopping_ && !abandoned_) {
    const Instant now = monotonic_now();
    const Instant next = std::min(next_look, next_renewal());
    if (next > now && !looks_now_) {
      co_await changed_.wait(next - now);
      continue;
    }
    if (looks_now_ || next_look <= now) {
      looks_now_ = false;
      next_look = monotonic_now() + kLookInterval;
      if (const auto looked = co_await look(); !looked) last_error_ = looked.error();
    }
    for (std::size_t i = 0; i < held_.size() && !stopping_ && !abandoned_; ++i) {
      Held& held = held_[i];
      if (held.is_open && held.end <= monotonic_now()) {
        held.is_open = false;
        listener_.lost(i, last_error_ ? last_error_->message : "nobody answered to its renewal");
      }
      if (held.renewal <= monotonic_now()) co_await hold(i);
    }
    if (!any_open() && !stopping_ && !abandoned_)
      co_return std::unexpected(last_error_.value_or(Error{Errc::closed, "no answer any more"}));
  }
  co_return Result<void>();
}

relay::Task<void> UpnpKeeper::hold(std::size_t index) {
  Held& held = held_[index];
  const auto done = held.is_open ? co_await renew(held) : co_await open(held);
  const Instant now = monotonic_now();
  if (done) {
    held.is_open = true;
    const bool ends = !route_.here.is_v4() || held.mapping->lease != 0;
    const std::chrono::seconds time(lease());
    held.renewal = ends ? now + Duration(time) / 2 : kNever;
    held.end = ends ? now + time : kNever;
    tell_opened(index);
    co_return;
  }
  if (done.error().code == Errc::cancelled) co_return;
  last_error_ = done.error();
  // Again when half of what is left has passed, as often as it makes sense.
  const Duration left = held.is_open ? (held.end - now) / 2 : kLookInterval;
  held.renewal = now + std::clamp<Duration>(left, std::chrono::seconds(4), kLookInterval);
  if (done.error().code == Errc::denied) listener_.refused(index, done.error().message);
}

relay::Task<Result<void>> UpnpKeeper::open(Held& held) {
  if (!route_.here.is_v4()) {
    held.pinhole = CO_TRY(co_await router_.open_pinhole(held.port.protocol, held.port.inside, lease()));
    co_return Result<void>();
  }
  // A port that was had once is asked for again.
  const std::uint16_t outside = held.mapping ? held.mapping->outside : held.port.outside;
  held.mapping =
      CO_TRY(co_await router_.map({held.port.protocol, held.port.inside, outside, lease()}, random_));
  co_return Result<void>();
}

relay::Task<Result<void>> UpnpKeeper::renew(Held& held) {
  if (route_.here.is_v4()) {
    held.mapping = CO_TRY(co_await router_.renew(*held.mapping));
    co_return Result<void>();
  }
  constexpr int kNoSuchPinhole = 704;
  auto renewed = co_await router_.renew_pinhole(held.pinhole, lease());
  if (!renewed && renewed.error().detail == kNoSuchPinhole) renewed = co_await open(held);
  co_return renewed;
}

// Once a minute: the first one stands for all that a restart takes away.
relay::Task<Result<void>> UpnpKeeper::look() {
  if (!route_.here.is_v4()) co_return Result<void>();
  const IpAddress address = CO_TRY(co_await router_.outside_address());
  const bool is_new = std::exchange(address_, address) != address;
  const auto first = std::ranges::find(held_, true, &Held::is_open);
  if (first == held_.end()) co_return Result<void>();
  const auto there = co_await router_.look(first->mapping->protocol, first->mapping->outside);
  constexpr int kNoSuchEntry = 714;
  if (!there && there.error().detail == kNoSuchEntry) {
    listener_.restarted();
    for (Held& held : held_) held.renewal = monotonic_now();
  } else if (is_new) {
    for (std::size_t i = 0; i < held_.size(); ++i) {
      if (held_[i].is_open) tell_opened(i);
    }
  }
  co_return Result<void>();
}

void UpnpKeeper::tell_opened(std::size_t index) {
  const Held& held = held_[index];
  const bool is_v4 = route_.here.is_v4();
  const bool ends = !is_v4 || held.mapping->lease != 0;
  listener_.opened(index, {.address = address_,
                           .port = is_v4 ? held.mapping->outside : held.port.inside,
                           .lifetime = ends ? Duration(std::chrono::seconds(lease())) : Duration::zero()});
}

relay::Task<void> UpnpKeeper::close_all() {
  for (std::size_t i = 0; i < held_.size(); ++i) {
    const Held& held = held_[i];
    if (!held.is_open || abandoned_) continue;
    const auto closed = route_.here.is_v4()
                            ? co_await router_.unmap(held.mapping->protocol, held.mapping->outside)
                            : co_await router_.close_pinhole(held.pinhole);
    // Who does not answer one does not answer the others.
    if (!closed && closed.error().code != Errc::denied) break;
    if (closed) {
      listener_.closed(i);
    } else {
      listener_.kept(i, std::nullopt, closed.error().message);
    }
  }
}

void UpnpKeeper::stop() {
  stopping_ = true;
  changed_.wake();
}

void UpnpKeeper::abandon() {
  abandoned_ = true;
  router_.cancel();
  changed_.wake();
}

void UpnpKeeper::refresh() {
  looks_now_ = true;
  changed_.wake();
}

std::uint32_t UpnpKeeper::lease() const {
  return static_cast<std::uint32_t>(
      (route_.here.is_v4() ? lifetime_ : std::min(lifetime_, kLongestPinhole)).count());
}

bool UpnpKeeper::any_open() const {
  return std::ranges::any_of(held_, [](const Held& held) { return held.is_open; });
}

Instant UpnpKeeper::next_renewal() const {
  Instant next = kNever;
  for (const Held& held : held_) next = std::min({next, held.renewal, held.is_open ? held.end : kNever});
  return next;
}

}  // namespace culvert::mapper
