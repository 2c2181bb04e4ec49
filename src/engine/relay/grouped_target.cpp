// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/grouped_target.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/time.hpp"
#include "net/addresses.hpp"

namespace culvert::relay {

using boost::asio::ip::udp;

GroupedTarget::GroupedTarget(std::vector<std::unique_ptr<ResolvedTarget>> targets,
                             std::shared_ptr<TargetGroup> group, AccessList access,
                             std::shared_ptr<Rate> flows)
    : targets_(std::move(targets)),
      group_(std::move(group)),
      access_(std::move(access)),
      rate_(std::move(flows)),
      too_many_(rate_ ? fmt::format("more than {} new streams a second", rate_->a_second()) : "") {
  CULVERT_ASSERT(group_ ? group_->size() == targets_.size() : targets_.size() == 1);
}

Task<void> GroupedTarget::ready() { return ResolvedTarget::any_ready(targets_); }

Result<udp::endpoint> GroupedTarget::choose(const udp::endpoint& client) {
  const IpAddress address = net::ip_address_of(client.address());
  if (!access_.empty() && !access_.allows(HostPort{address.text(), client.port()}))
    return fail(Errc::denied, "not allowed from there");
  const Instant now = monotonic_now();
  if (rate_ && rate_->take(1, now) == 0) return fail(Errc::limit, too_many_);
  if (!group_) return targets_.front()->choose(client);

  std::vector<std::size_t> tried;
  Result<udp::endpoint> last = fail(Errc::not_found, "there is no target");
  while (auto lease = group_->choose(address.normalised(), tried, now)) {
    const std::size_t index = lease->index();
    tried.push_back(index);
    last = targets_[index]->choose(client);
    if (!last) {
      if (targets_[index]->is_known()) lease->failed(last.error().message, now);
      continue;
    }
    flows_.emplace(*last, Flow{index, std::move(lease)});
    return last;
  }
  return last;
}

bool GroupedTarget::is_lost(const udp::endpoint& target) {
  if (!group_ || !group_->is_checked()) return false;
  if (const std::uint64_t changes = group_->changes(); changes != changes_seen_) {
    changes_seen_ = changes;
    lost_.clear();
    for (const TargetStatus& one : group_->status()) lost_.push_back(!one.is_up);
    const auto down = static_cast<std::size_t>(std::ranges::count(lost_, true));
    if (down == 0 || down == lost_.size()) lost_.clear();
  }
  if (lost_.empty()) return false;
  const auto flow = flows_.find(target);
  return flow != flows_.end() && lost_[flow->second.target];
}

void GroupedTarget::answered(const udp::endpoint& target) {
  if (!group_) return;
  they_answer_ = true;
  const auto flow = flows_.find(target);
  CULVERT_ASSERT(flow != flows_.end());
  flow->second.lease->reached();
}

void GroupedTarget::ended(const udp::endpoint& target, End how) {
  if (!group_) return targets_.front()->ended(target, how);
  const auto flow = flows_.find(target);  // whichever goes there: they are all alike
  CULVERT_ASSERT(flow != flows_.end());
  targets_[flow->second.target]->ended(target, how);
  if (how == End::refused) flow->second.lease->failed("port unreachable", monotonic_now());
  // Where nobody ever answers (syslog), more than that it was not refused is not to be known.
  if (how == End::expired && !they_answer_) flow->second.lease->reached();
  flows_.erase(flow);
}

void GroupedTarget::stop() {
  for (const auto& target : targets_) target->stop();
}

std::string GroupedTarget::name() const {
  std::string text;
  for (const auto& target : targets_) {
    if (!text.empty()) text += ", ";
    text += target->name();
  }
  return text;
}

}  // namespace culvert::relay
