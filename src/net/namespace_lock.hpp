// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

/// Holds a number that one process in this network namespace can have at a time, for as long as the
/// descriptor is open: the kernel gives it back when the process ends, however that happens. Nothing: another
/// one has it. Needs CAP_NET_ADMIN; without, nothing too. Errc::system.
///
/// It is a group of NFLOG (nfnetlink_log), which somebody who may change rules alone can listen to, and one
/// at a time: no rule logs to ours. A name that anybody may have, as an abstract Unix socket, would let
/// anybody pass for a culvert that runs, and a table with `flags owner` would stand in rule sets that people
/// save, and fail when they load those. Where the kernel has no NFLOG it is such a socket.
[[nodiscard]] Result<std::optional<UniqueFd>> hold_number(std::uint8_t number);

}  // namespace culvert::net
