// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/thread_pool.hpp>

#include "base/complaint.hpp"
#include "base/time.hpp"
#include "daemon/plan.hpp"
#include "daemon/run.hpp"
#include "engine/mapper/kernel_table.hpp"
#include "engine/relay/signal.hpp"
#include "engine/relay/task_set.hpp"
#include "net/forwarding_watch.hpp"
#include "net/nft_watch.hpp"
#include "net/resolver.hpp"
#include "proto/nft/rule_set.hpp"

namespace culvert::daemon {

/// One KernelPlan at work: its rules are installed, watched, put back, counted, and removed.
class KernelRun final : public Run {
 public:
  /// Both must outlive it.
  KernelRun(boost::asio::any_io_executor executor, const KernelPlan& plan, net::Resolver& resolver);
  ~KernelRun() override;  ///< removes the rules if nobody has had the time to

  [[nodiscard]] relay::Task<Result<void>> start() override;
  [[nodiscard]] relay::Task<Result<void>> serve() override;
  void stop(Duration time) override;
  void tell() override;

 private:
  relay::Task<Result<nft::RuleSet>> resolved();
  relay::Task<Result<std::vector<nft::Mapping>>> mappings_of(const KernelForward& forward);
  relay::Task<Result<void>> install(nft::RuleSet rules);
  Result<void> take_and_install(nft::RuleSet rules);
  Result<void> enable(const mapper::Families& off);  ///< forwarding; by the helper, as the one above
  relay::Task<void> tell_hindrances();
  relay::Task<void> tell_traffic();
  relay::Task<void> put_back();
  relay::Task<void> set_forwarding_again();
  relay::Task<void> look_names_up();
  relay::Task<void> follow_names(nft::RuleSet rules);
  relay::Task<void> watch_rules();
  relay::Task<void> watch_forwarding();
  void remove();

  const boost::asio::any_io_executor executor_;
  const KernelPlan& plan_;
  net::Resolver& resolver_;
  std::optional<mapper::KernelTable> table_;  // touched by the helper alone while one of its calls runs
  std::vector<nft::Mapping> mappings_;        // those of the table, for look-ups
  std::optional<net::NftWatch> watch_;
  std::optional<net::ForwardingWatch> forwarding_watch_;
  relay::Signal changed_;  // one of those below; serve() sleeps on it
  relay::TaskSet tasks_;
  boost::asio::cancellation_signal give_up_;  // of the look-up
  bool is_stopping_ = false;
  std::optional<nft::RuleSet> looked_up_;
  bool rules_changed_ = false, forwarding_changed_ = false, others_changed_ = false, is_asked_ = false;
  bool warned_of_routers_ = false;
  std::set<std::string> told_;             // the hindrances
  std::set<std::string> stays_;            // what could not be looked up the last time
  Instant next_repair_, next_forwarding_;  // two who want different rules would keep each other busy
  Complaint put_back_, forwarding_said_, overlap_;
  boost::asio::thread_pool helper_{1};
};

}  // namespace culvert::daemon
