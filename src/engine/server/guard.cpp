// SPDX-License-Identifier: Apache-2.0
#include "engine/server/guard.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace culvert::server {
namespace {

std::vector<std::uint8_t> prefix_of(const IpAddress& address, unsigned bits) {
  std::vector<std::uint8_t> bytes(address.bytes().begin(), address.bytes().end());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const unsigned kept = bits <= i * 8 ? 0 : std::min(bits - static_cast<unsigned>(i) * 8, 8u);
    bytes[i] &= static_cast<std::uint8_t>(0xFF00u >> kept);
  }
  return bytes;
}

}  // namespace

Guard::Source Guard::source_of(const IpAddress& address) const {
  return {!address.is_v4(), prefix_of(address, address.is_v4() ? options_.prefix_v4 : options_.prefix_v6)};
}

bool Guard::is_exempt(const IpAddress& address) const {
  return std::ranges::any_of(
      options_.exempt, [&](const IpNetwork& network) { return network.normalised().contains(address); });
}

Guard::Admission Guard::arrived(const std::optional<IpAddress>& from, Instant now) {
  const IpAddress address = from.value_or(IpAddress()).normalised();  // of a dual-stack socket, too
  const Source source = source_of(address);
  const bool exempt = !from || is_exempt(address);
  Admission admission;
  if (!exempt) {
    const auto penalty = penalty_until_.find(source);
    if (penalty != penalty_until_.end()) {
      const Duration left = penalty->second - now;
      if (left <= Duration::zero()) {
        penalty_until_.erase(penalty);
      } else if (left >= options_.enforced_from) {
        return {.refused = Refused::penalized, .penalty = left};
      }
    }
    const auto count = count_.find(source);
    if (count != count_.end() && count->second >= options_.most_of_a_source)
      return {.refused = Refused::too_many_of_source};
  }
  if (waiting_.size() >= options_.most && !waiting_.empty()) {
    admission.leaving = waiting_.front().ticket;
    (void)take(*admission.leaving);  // another one who comes now must not be told to wait for the same
  }
  admission.ticket = next_++;
  waiting_.push_back({admission.ticket, source, exempt});
  by_ticket_[admission.ticket] = std::prev(waiting_.end());
  ++count_[source];
  return admission;
}

std::optional<Guard::Waiting> Guard::take(Ticket ticket) {
  const auto found = by_ticket_.find(ticket);
  if (found == by_ticket_.end()) return std::nullopt;
  Waiting one = std::move(*found->second);
  waiting_.erase(found->second);
  by_ticket_.erase(found);
  const auto count = count_.find(one.source);
  CULVERT_ASSERT(count != count_.end() && count->second > 0);
  if (--count->second == 0) count_.erase(count);
  return one;
}

void Guard::logged_in(Ticket ticket) { (void)take(ticket); }

void Guard::ended(Ticket ticket, Leaving how, Instant now) {
  const auto one = take(ticket);
  if (!one || one->exempt || !options_.penalties) return;
  switch (how) {
    case Leaving::quietly:
      return;
    case Leaving::without_login:
      return punish(one->source, options_.for_leaving, now);
    case Leaving::refused:
      return punish(one->source, options_.for_refusals, now);
    case Leaving::too_slow:
      return punish(one->source, options_.for_slowness, now);
  }
}

// Penalties add up, and melt away with time.
void Guard::punish(const Source& source, Duration time, Instant now) {
  auto found = penalty_until_.find(source);
  if (found == penalty_until_.end()) {
    if (penalty_until_.size() >= options_.most_sources) {
      std::erase_if(penalty_until_, [now](const auto& entry) { return entry.second <= now; });
      if (penalty_until_.size() >= options_.most_sources) return;
    }
    found = penalty_until_.emplace(source, now).first;
  }
  found->second = std::min(std::max(found->second, now) + time, now + options_.longest);
}

}  // namespace culvert::server
