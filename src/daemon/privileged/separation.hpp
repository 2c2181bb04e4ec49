// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "base/result.hpp"
#include "daemon/plan.hpp"
#include "engine/server/privileges.hpp"

namespace culvert::daemon {

/// Whoever parses hostile bytes holds nothing worth stealing. Started as root, a helper process is made for
/// each server of the plan, which keeps root's rights, and this process becomes plan.account; otherwise it
/// holds the host keys itself. Either way it then refuses new privileges and, unless the plan says no, enters
/// the sandbox. The privileges of each server, in their order. Before threads exist; once. A plan without
/// servers changes nothing. Errors are lines for the user.
[[nodiscard]] Result<std::vector<std::unique_ptr<server::Privileges>>> separate_privileges(const Plan& plan);

}  // namespace culvert::daemon
