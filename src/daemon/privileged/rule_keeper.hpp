// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

#include "base/result.hpp"
#include "daemon/plan.hpp"
#include "daemon/privileged/helper_process.hpp"
#include "daemon/privileged/process_account.hpp"
#include "net/control_socket.hpp"

namespace culvert::daemon {

/// The process that keeps the rules of one KernelPlan installed (KernelRun). Of the rights of root it has
/// CAP_NET_ADMIN alone, and whoever talks to clients has not even that. It does nothing before it is asked,
/// and removes the rules when this process is gone, however that happens.
///
/// Both ends of its channel are processes of ours; the words to it are Ask's, one byte each, and its own are
/// lines of at most kLongestLine bytes: when it has started, and when it is over, each time a Result.
class RuleKeeper {
 public:
  enum class Ask : char {
    start = 'g',    ///< once; answered
    traffic = 't',  ///< say what the mappings have carried: into the log
    stop = 's',     ///< after start; answered when the rules are removed
  };
  static constexpr std::size_t kLongestLine = 4096;

  /// Before threads exist. As root it becomes `account`; nullptr: this process is somebody else already.
  /// Enters the sandbox if `plan` has one. `kernel` must outlive this process. Errc::system.
  [[nodiscard]] static Result<std::unique_ptr<RuleKeeper>> start(const Plan& plan, const KernelPlan& kernel,
                                                                 const ProcessAccount* account);
  /// Ends it, and returns when the rules are removed.
  ~RuleKeeper();
  RuleKeeper(const RuleKeeper&) = delete;
  RuleKeeper& operator=(const RuleKeeper&) = delete;

  [[nodiscard]] const net::ControlSocket& channel() const { return channel_; }

 private:
  RuleKeeper(net::ControlSocket channel, HelperProcess process)
      : process_(std::move(process)), channel_(std::move(channel)) {}

  const HelperProcess process_;  // waits for its end
  net::ControlSocket channel_;
};

}  // namespace culvert::daemon
