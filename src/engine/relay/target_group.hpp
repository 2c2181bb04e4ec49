// SPDX-License-Identifier: Apache-2.0
// Which of several targets the next stream goes to, and which of them are up. Knows no sockets and no clock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.hpp"
#include "base/time.hpp"
#include "engine/relay/endpoint.hpp"

namespace culvert::relay {

enum class Balance : std::uint8_t {
  round_robin,
  least_connections,  ///< whose streams are fewest, dials included; of several, in turn
  /// By the client's address (rendezvous hashing): a target that goes moves its own clients and no others,
  /// and every culvert with the same targets decides alike. Clients without an address take turns.
  source_hash,
};

struct TargetGroupOptions {
  Balance balance = Balance::round_robin;
  /// So many dials in a row have failed: the target is down (max_fails of nginx, which has 1).
  std::uint32_t failures = 3;
  /// After this one dial tries it again, and one that succeeds brings it back (fail_timeout of nginx).
  Duration back_off = std::chrono::seconds(10);
  /// Somebody reports checks (HealthChecks). Then they alone bring a target back.
  bool checked = false;
  std::uint32_t rise = 2;  ///< checks in a row that bring it back (as in haproxy)
  std::uint32_t fall = 3;  ///< failed checks in a row that take it out
};

/// A target has gone down or come back.
struct TargetChange {
  const Endpoint& target;
  bool is_up;
  std::string_view reason;  ///< of going down, printable
  std::size_t up;           ///< how many of the group are up now
  std::size_t all;
};

struct TargetStatus {
  Endpoint target;
  bool is_up;
  std::size_t streams;  ///< leases: streams, dials, flows
};

/// Targets of one forward. What is down is chosen last: it never refuses a stream by itself, and where all
/// are down they are tried in order. Thread-safe: forwards of several threads share one.
class TargetGroup : public std::enable_shared_from_this<TargetGroup> {
 public:
  /// A target that was chosen, for one dial and the stream that comes of it, or for one flow of datagrams.
  /// The stream counts until this is destroyed. Holds the group.
  class Lease {
   public:
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    [[nodiscard]] const Endpoint& target() const;
    [[nodiscard]] std::size_t index() const { return index_; }
    /// What became of it: at most one of them, but for a flow that was answered and is refused later. Neither
    /// says nothing about the target (who asked has gone).
    void reached();
    void failed(std::string_view reason, Instant now);

   private:
    friend TargetGroup;
    Lease(std::shared_ptr<TargetGroup> group, std::size_t index, bool is_trial)
        : group_(std::move(group)), index_(index), is_trial_(is_trial) {}
    std::shared_ptr<TargetGroup> group_;
    std::size_t index_;
    bool is_trial_;  ///< the one dial to a target that is down
  };

  /// `on_change` is called on whatever thread reported what changed, and must not call the group.
  [[nodiscard]] static std::shared_ptr<TargetGroup> make(std::vector<Endpoint> targets,
                                                         TargetGroupOptions options,
                                                         std::function<void(const TargetChange&)> on_change);

  /// The best target for this client, but none of those whose numbers are `tried`; none if all are.
  [[nodiscard]] std::optional<Lease> choose(const std::optional<IpAddress>& client,
                                            std::span<const std::size_t> tried, Instant now);
  /// A check of target number `index` has succeeded, or failed with this reason.
  void check_passed(std::size_t index);
  void check_failed(std::size_t index, std::string_view reason);

  [[nodiscard]] std::size_t size() const { return targets_.size(); }
  [[nodiscard]] bool is_checked() const { return options_.checked; }
  /// How often a target has gone down or come back. Costs nothing.
  [[nodiscard]] std::uint64_t changes() const { return changes_.load(std::memory_order_acquire); }
  /// In the order given; as long as the group.
  [[nodiscard]] const Endpoint& target(std::size_t index) const { return targets_[index].endpoint; }
  [[nodiscard]] std::vector<TargetStatus> status() const;

 private:
  struct Target {
    Endpoint endpoint;
    std::uint64_t hash;
    std::size_t streams = 0;
    std::uint32_t failed_dials = 0;   ///< in a row
    std::uint32_t passed_checks = 0;  ///< in a row
    std::uint32_t failed_checks = 0;  ///< in a row
    bool is_up = true;
    bool on_trial = false;  ///< a dial tries whether it is back
    Instant retry_at{};     ///< while it is down
  };

  TargetGroup(std::vector<Endpoint> targets, TargetGroupOptions options,
              std::function<void(const TargetChange&)> on_change);
  [[nodiscard]] bool is_eligible(const Target& target, Instant now) const;
  [[nodiscard]] bool is_better(const Target& one, const Target& other, std::uint64_t client) const;
  void set_up(Target& target, bool is_up, std::string_view reason);
  void release(Lease& lease);
  void reached(Lease& lease);
  void failed(Lease& lease, std::string_view reason, Instant now);
  Target& target_after_trial(Lease& lease);

  const TargetGroupOptions options_;
  const std::function<void(const TargetChange&)> on_change_;
  mutable std::mutex mutex_;  ///< of what follows, but for the endpoints; held for no longer than a choice
  std::vector<Target> targets_;
  std::size_t next_ = 0;  ///< whose turn it is
  std::atomic<std::uint64_t> changes_ = 0;
};

}  // namespace culvert::relay
