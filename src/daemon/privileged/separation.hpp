// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/result.hpp"
#include "daemon/plan.hpp"
#include "daemon/privileged/capabilities.hpp"
#include "daemon/privileged/rule_keeper.hpp"
#include "engine/server/privileges.hpp"

namespace culvert::daemon {

/// What has rights that this process has not.
struct Helpers {
  std::vector<std::unique_ptr<server::Privileges>> servers;  ///< of each server of the plan, in their order
  std::vector<std::unique_ptr<RuleKeeper>> rules;  ///< and of each KernelPlan; none where nothing is kept
};

/// Whoever parses hostile bytes holds nothing worth stealing. Started as root, a helper process is made for
/// each server of the plan, which keeps root's rights, and this process becomes plan.account; otherwise it
/// holds the host keys itself. Rules of the kernel are kept by a process of their own in any case. Direct
/// forwards have no helper: `with_rights`, always called, does what they need rights for, last thing before
/// these are given up, and leaves no thread behind; of capabilities only those stay that connecting from
/// certain addresses and ports needs. Either way the process then refuses new privileges and, unless the plan
/// says no, enters the sandbox. Before threads exist; once. A plan of sessions alone changes nothing. `plan`
/// must outlive this process' last thread. Errors are lines for the user.
[[nodiscard]] Result<Helpers> separate_privileges(const Plan& plan,
                                                  const std::function<Result<void>()>& with_rights);

/// What `plan` needs while it runs, if this process has all of `permitted`.
[[nodiscard]] Capabilities capabilities_for(const Plan& plan, Capabilities permitted);

}  // namespace culvert::daemon
