// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/upnp_keeper.hpp"

#include <algorithm>
#include <utility>

#include "net/addresses.hpp"

namespace culvert::mapper {

namespace {

using Holder = UpnpRouter::Holder;

constexpr Duration kLookInterval = std::chrono::seconds(60);
constexpr std::chrono::seconds kLongestPinhole =
    std::chrono::hours(24);                               // WANIPv6FirewallControl section 2.4
constexpr Duration kLeastLeft = std::chrono::seconds(1);  // zero would be no end
constexpr int kNoSuchPinhole = 704, kNoSuchEntry = 714;

// What was asked for may have been done without an answer.
bool may_be_done(const Error& error) {
  return error.code == Errc::timed_out || error.code == Errc::cancelled;
}

// It answers: of the others it is not known whether it lives.
bool is_answer(const Error& error) { return error.code == Errc::denied; }

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

std::string UpnpKeeper::name() const {
  const auto& host = router_.host();
  return !host || *host == route_.gateway ? "UPnP" : "UPnP of " + host->to_string();
}

relay::Task<Result<void>> UpnpKeeper::run() {
  auto kept = co_await keep();
  if (!abandoned_) co_await close_all();
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
      const auto looked = co_await look();
      if (!looked) last_error_ = looked.error();
      if (!looked && is_away_ && !stopping_ && !abandoned_) listener_.silent(looked.error().message);
    }
    for (std::size_t i = 0; i < held_.size() && !stopping_ && !abandoned_ && !looks_now_; ++i) {
      const Held& held = held_[i];
      if (held.is_open && held.end <= monotonic_now())
        tell_lost(i, last_error_ ? last_error_->message : "nobody answered to its renewal");
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
    last_error_.reset();
    const bool ends = !route_.here.is_v4() || held.mapping->lease != 0;
    const std::chrono::seconds time(lease());
    held.renewal = ends ? now + Duration(time) / 2 : kNever;
    held.end = ends ? now + time : kNever;
    tell_opened(index, ends ? Duration(time) : Duration::zero());
    co_return;
  }
  if (done.error().code == Errc::cancelled) co_return;
  if (held.is_open && held.mapping && done.error().detail == gateway::igd::kConflict) {
    const auto there = co_await router_.holder_of(*held.mapping);
    if (there && *there == Holder::another) co_return tell_taken(index);
  }
  last_error_ = done.error();
  // Again when half of what is left has passed, as often as it makes sense.
  const Duration left = held.is_open ? (held.end - now) / 2 : kLookInterval;
  held.renewal = now + std::clamp<Duration>(left, std::chrono::seconds(4), kLookInterval);
  if (is_answer(done.error())) {
    listener_.refused(index, done.error().message);
  } else if (any_open()) {
    is_away_ = looks_now_ = true;
  }
}

relay::Task<Result<void>> UpnpKeeper::open(Held& held) {
  if (!route_.here.is_v4()) {
    held.pinhole = CO_TRY(co_await router_.open_pinhole(held.port.protocol, held.port.inside, lease()));
    co_return Result<void>();
  }
  // A port that was had once is asked for again.
  const std::uint16_t outside = held.mapping ? held.mapping->outside : held.port.outside;
  const auto mapped = co_await router_.map({held.port.protocol, held.port.inside, outside, lease()}, random_);
  held.unsure.reset();
  if (!mapped && may_be_done(mapped.error())) held.unsure = router_.asked_for();
  held.mapping = CO_TRY(mapped);
  co_return Result<void>();
}

relay::Task<Result<void>> UpnpKeeper::renew(Held& held) {
  if (route_.here.is_v4()) {
    held.mapping = CO_TRY(co_await router_.renew(*held.mapping));
    co_return Result<void>();
  }
  auto renewed = co_await router_.renew_pinhole(held.pinhole, lease());
  if (!renewed && renewed.error().detail == kNoSuchPinhole) renewed = co_await open(held);
  co_return renewed;
}

// One that is not where it was may have started again: its ports are gone then, and its own may be another.
relay::Task<Result<void>> UpnpKeeper::look() {
  if (!is_away_) {
    auto looked = co_await look_at_one();
    if (looked || is_answer(looked.error())) co_return looked;
    is_away_ = true;
  }
  CO_TRY(co_await router_.find());
  is_away_ = false;
  if (!route_.here.is_v4()) hold_all_again();
  co_return co_await look_at_one();
}

// Each in its turn: one stands for all that a restart takes away.
relay::Task<Result<void>> UpnpKeeper::look_at_one() {
  if (!route_.here.is_v4()) co_return Result<void>();
  const IpAddress address = CO_TRY(co_await router_.outside_address());
  const bool is_new = std::exchange(address_, address) != address;
  for (std::size_t i = 0; is_new && i < held_.size(); ++i) {
    const Held& held = held_[i];
    if (held.is_open)
      tell_opened(i, held.end == kNever ? Duration::zero()
                                        : std::max<Duration>(held.end - monotonic_now(), kLeastLeft));
  }
  if (!any_open()) co_return Result<void>();
  do looked_at_ = (looked_at_ + 1) % held_.size();
  while (!held_[looked_at_].is_open);
  const auto there = co_await router_.holder_of(*held_[looked_at_].mapping);
  if (there && *there == Holder::another) {
    tell_taken(looked_at_);
  } else if (!there && there.error().detail == kNoSuchEntry) {
    listener_.restarted();
    hold_all_again();
  } else if (!there && !is_answer(there.error())) {
    co_return std::unexpected(there.error());
  }
  co_return Result<void>();
}

void UpnpKeeper::hold_all_again() {
  for (Held& held : held_) held.renewal = monotonic_now();
}

// Some routers would let us take it back, and the other one again.
void UpnpKeeper::tell_taken(std::size_t index) {
  Held& held = held_[index];
  held.mapping.reset();
  held.port.outside = 0;
  held.renewal = monotonic_now();
  tell_lost(index, "somebody else has the port now");
}

void UpnpKeeper::tell_lost(std::size_t index, const std::string& why) {
  held_[index].is_open = false;
  listener_.lost(index, why);
}

void UpnpKeeper::tell_opened(std::size_t index, Duration left) {
  const Held& held = held_[index];
  listener_.opened(index, {.address = address_,
                           .port = route_.here.is_v4() ? held.mapping->outside : held.port.inside,
                           .lifetime = left});
}

relay::Task<void> UpnpKeeper::close_all() {
  // Who does not answer one does not answer the others.
  for (std::size_t i = 0; i < held_.size() && !abandoned_; ++i)
    if (held_[i].is_open && !co_await close(i)) co_return;
  for (std::size_t i = 0; i < held_.size() && !abandoned_; ++i)
    if (!held_[i].is_open && held_[i].unsure && !co_await close_unsure(i)) co_return;
}

relay::Task<bool> UpnpKeeper::close(std::size_t index) {
  const Held& held = held_[index];
  const bool is_v4 = route_.here.is_v4();
  if (is_v4) {
    const auto there = co_await router_.holder_of(*held.mapping);
    if (there && *there == Holder::another) {
      tell_taken(index);
      co_return true;
    }
  }
  const auto closed = is_v4 ? co_await router_.unmap(held.mapping->protocol, held.mapping->outside)
                            : co_await router_.close_pinhole(held.pinhole);
  if (!closed && !is_answer(closed.error())) co_return false;
  if (closed || closed.error().detail == (is_v4 ? kNoSuchEntry : kNoSuchPinhole)) {
    listener_.closed(index);
  } else {
    listener_.kept(index, std::nullopt, closed.error().message);
  }
  co_return true;
}

relay::Task<bool> UpnpKeeper::close_unsure(std::size_t index) {
  const UpnpRouter::Mapping mapping = *std::exchange(held_[index].unsure, std::nullopt);
  const auto there = co_await router_.holder_of(mapping);
  if (!there) co_return is_answer(there.error());
  if (*there == Holder::another) co_return true;
  const auto closed = co_await router_.unmap(mapping.protocol, mapping.outside);
  if (closed) listener_.closed(index);
  co_return closed || is_answer(closed.error());
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
