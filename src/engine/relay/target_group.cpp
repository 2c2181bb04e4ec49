// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/target_group.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "base/bytes.hpp"

namespace culvert::relay {

namespace {

/// The finalizer of splitmix64: each bit of the result hangs on each bit of the value.
std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

/// FNV-1a, mixed. The same in every process, on purpose.
std::uint64_t hash_of(ByteView bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3;
  return mixed(hash);
}

}  // namespace

TargetGroup::Lease::~Lease() {
  if (group_) group_->release(*this);
}

const Endpoint& TargetGroup::Lease::target() const { return group_->target(index_); }

void TargetGroup::Lease::reached() { group_->reached(*this); }

void TargetGroup::Lease::failed(std::string_view reason, Instant now) { group_->failed(*this, reason, now); }

std::shared_ptr<TargetGroup> TargetGroup::make(std::vector<Endpoint> targets, TargetGroupOptions options,
                                               std::function<void(const TargetChange&)> on_change) {
  return std::shared_ptr<TargetGroup>(new TargetGroup(std::move(targets), options, std::move(on_change)));
}

TargetGroup::TargetGroup(std::vector<Endpoint> targets, TargetGroupOptions options,
                         std::function<void(const TargetChange&)> on_change)
    : options_(options), on_change_(std::move(on_change)) {
  CULVERT_ASSERT(!targets.empty());
  for (Endpoint& endpoint : targets) {
    const std::uint64_t hash = hash_of(as_bytes(to_string(endpoint)));
    targets_.push_back({.endpoint = std::move(endpoint), .hash = hash});
  }
}

std::optional<TargetGroup::Lease> TargetGroup::choose(const std::optional<IpAddress>& client,
                                                      std::span<const std::size_t> tried, Instant now) {
  const std::uint64_t client_hash = client ? hash_of(client->bytes()) : 0;
  const bool by_hash = options_.balance == Balance::source_hash && client;
  const bool in_turn = options_.balance != Balance::least_connections && !by_hash;
  const auto untried = [&](std::size_t index) { return std::ranges::find(tried, index) == tried.end(); };

  const std::lock_guard lock(mutex_);
  std::optional<std::size_t> chosen;
  for (std::size_t i = 0; i < size(); ++i) {
    const std::size_t index = by_hash ? i : (next_ + i) % size();
    if (!untried(index) || !is_eligible(targets_[index], now)) continue;
    if (!chosen || is_better(targets_[index], targets_[*chosen], client_hash)) chosen = index;
    if (in_turn) break;
  }
  for (std::size_t i = 0; i < size() && !chosen; ++i) {
    if (untried(i)) chosen = i;
  }
  if (!chosen) return std::nullopt;
  if (!by_hash) next_ = *chosen + 1;
  Target& target = targets_[*chosen];
  ++target.streams;
  const bool is_trial = !target.is_up && !target.on_trial;
  if (is_trial) target.on_trial = true;
  return Lease(shared_from_this(), *chosen, is_trial);
}

// Of those that are down: where one dial may look whether it is back.
bool TargetGroup::is_eligible(const Target& target, Instant now) const {
  return target.is_up || (!options_.checked && !target.on_trial && now >= target.retry_at);
}

bool TargetGroup::is_better(const Target& one, const Target& other, std::uint64_t client) const {
  if (options_.balance == Balance::source_hash) return mixed(one.hash ^ client) > mixed(other.hash ^ client);
  return one.streams < other.streams;
}

void TargetGroup::release(Lease& lease) {
  const std::lock_guard lock(mutex_);
  --target_after_trial(lease).streams;
}

void TargetGroup::reached(Lease& lease) {
  const std::lock_guard lock(mutex_);
  Target& target = target_after_trial(lease);
  target.failed_dials = 0;
  if (!target.is_up && !options_.checked) set_up(target, true, "");
}

void TargetGroup::failed(Lease& lease, std::string_view reason, Instant now) {
  const std::lock_guard lock(mutex_);
  Target& target = target_after_trial(lease);
  ++target.failed_dials;
  target.passed_checks = 0;
  target.retry_at = now + options_.back_off;
  if (target.is_up && target.failed_dials >= options_.failures) set_up(target, false, reason);
}

TargetGroup::Target& TargetGroup::target_after_trial(Lease& lease) {
  Target& target = targets_[lease.index_];
  if (std::exchange(lease.is_trial_, false)) target.on_trial = false;
  return target;
}

void TargetGroup::check_passed(std::size_t index) {
  const std::lock_guard lock(mutex_);
  Target& target = targets_[index];
  target.failed_checks = 0;
  ++target.passed_checks;
  if (!target.is_up && target.passed_checks >= options_.rise) set_up(target, true, "");
}

void TargetGroup::check_failed(std::size_t index, std::string_view reason) {
  const std::lock_guard lock(mutex_);
  Target& target = targets_[index];
  target.passed_checks = 0;
  ++target.failed_checks;
  if (target.is_up && target.failed_checks >= options_.fall) set_up(target, false, reason);
}

void TargetGroup::set_up(Target& target, bool is_up, std::string_view reason) {
  target.is_up = is_up;
  target.on_trial = false;  // another stream may have found out
  target.failed_dials = 0;
  target.passed_checks = 0;
  target.failed_checks = 0;
  changes_.fetch_add(1, std::memory_order_release);
  const auto up = static_cast<std::size_t>(std::ranges::count(targets_, true, &Target::is_up));
  if (on_change_) on_change_({target.endpoint, is_up, reason, up, size()});
}

std::vector<TargetStatus> TargetGroup::status() const {
  const std::lock_guard lock(mutex_);
  std::vector<TargetStatus> all;
  all.reserve(targets_.size());
  for (const Target& target : targets_) all.push_back({target.endpoint, target.is_up, target.streams});
  return all;
}

}  // namespace culvert::relay
