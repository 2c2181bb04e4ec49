// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"
#include "proto/socks/accounts.hpp"

namespace culvert::proxy {

/// Reads the file of --proxy-auth, which nobody but its owner may be able to read or write. The error is the
/// line for the user, and quotes nothing of the file.
[[nodiscard]] Result<std::shared_ptr<const socks::Accounts>> read_accounts_file(const std::string& path);

}  // namespace culvert::proxy
