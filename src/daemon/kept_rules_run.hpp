// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "daemon/privileged/rule_keeper.hpp"
#include "daemon/run.hpp"
#include "net/watched_fd.hpp"

namespace culvert::daemon {

/// The rules that a RuleKeeper keeps: has it begin, say what they have carried, and end.
class KeptRulesRun final : public Run {
 public:
  /// `keeper` must outlive it.
  KeptRulesRun(const boost::asio::any_io_executor& executor, const RuleKeeper& keeper);

  [[nodiscard]] relay::Task<Result<void>> start() override;
  [[nodiscard]] relay::Task<Result<void>> serve() override;
  void stop(Duration time) override;
  void tell() override;

 private:
  void ask(RuleKeeper::Ask what);
  relay::Task<Result<void>> answer();

  const RuleKeeper& keeper_;
  const boost::asio::any_io_executor executor_;
  net::WatchedFd ears_;  // the keeper's channel
  std::string said_;     // by the keeper, not yet read
};

}  // namespace culvert::daemon
