// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.hpp"
#include "daemon/privileged/capabilities.hpp"

namespace culvert::daemon {

/// Who a process can run as.
struct ProcessAccount {
  std::string name;
  uid_t user = 0;
  gid_t group = 0;
};

/// By its name, or, if that is empty, "culvert", or else "nobody". Errc::not_found with the line for the
/// user. Blocks.
[[nodiscard]] Result<ProcessAccount> find_process_account(const std::string& name);

/// Makes this process that one for good, with its groups and no other capabilities than `kept`; "root" keeps
/// all. Before threads exist. Needs root. Errc::system.
[[nodiscard]] Result<void> become(const ProcessAccount& account, Capabilities kept = kNoCapabilities);

/// No program that this process starts, now or later, can gain a right that it does not have. For good.
[[nodiscard]] Result<void> refuse_new_privileges();

}  // namespace culvert::daemon
