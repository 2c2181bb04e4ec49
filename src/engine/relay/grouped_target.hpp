// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/relay/access_list.hpp"
#include "engine/relay/bucket.hpp"
#include "engine/relay/datagram_target.hpp"
#include "engine/relay/target_group.hpp"

namespace culvert::relay {

/// Targets of datagrams, of which a group chooses one for each flow; and who may begin one, and how many may
/// begin in a second (Errc::limit for the others). Flows leave a target that checks have found to be down: a
/// machine that is gone sends no ICMP.
class GroupedTarget final : public DatagramTarget {
 public:
  /// At least one target. `group` has the same ones in the same order; null if there is but one. `flows`: new
  /// ones a second, with whatever else keeps to it; null: any number.
  GroupedTarget(std::vector<std::unique_ptr<ResolvedTarget>> targets, std::shared_ptr<TargetGroup> group,
                AccessList access, std::shared_ptr<Rate> flows);

  /// When any of them is: one whose name server is silent does not hold up the others.
  [[nodiscard]] Task<void> ready() override;
  [[nodiscard]] Result<boost::asio::ip::udp::endpoint> choose(
      const boost::asio::ip::udp::endpoint& client) override;
  [[nodiscard]] bool is_lost(const boost::asio::ip::udp::endpoint& target) override;
  void answered(const boost::asio::ip::udp::endpoint& target) override;
  void ended(const boost::asio::ip::udp::endpoint& target, End how) override;
  void stop() override;
  [[nodiscard]] std::string name() const override;

 private:
  struct Flow {
    std::size_t target;
    std::optional<TargetGroup::Lease> lease;
  };
  using Flows = std::multimap<boost::asio::ip::udp::endpoint, Flow>;

  const std::vector<std::unique_ptr<ResolvedTarget>> targets_;
  const std::shared_ptr<TargetGroup> group_;
  const AccessList access_;
  const std::shared_ptr<Rate> rate_;
  const std::string too_many_;  // what is said of those who come too fast
  Flows flows_;                 // of a group, by where they go
  bool they_answer_ = false;    // targets of the group: one of them has
  // Of a group that is checked.
  std::uint64_t changes_seen_ = 0;
  std::vector<bool> lost_;  // by target; empty: none is
};

}  // namespace culvert::relay
