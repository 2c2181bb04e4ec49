// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

/// Holds a name that one process in this network namespace can have at a time, for as long as the descriptor
/// is open: the kernel gives it back when the process ends, however that happens. Nothing: another one has
/// it. (It is an abstract Unix socket.) Errc::system.
[[nodiscard]] Result<std::optional<UniqueFd>> hold_name(std::string_view name);

}  // namespace culvert::net
