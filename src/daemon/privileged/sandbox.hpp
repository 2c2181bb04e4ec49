// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"

namespace culvert::daemon {

/// From now on the kernel answers EPERM to every system call that a process which only forwards has no use
/// for: programs cannot be started, processes not looked into, memory not made both writable and executable,
/// and sockets are streams and datagrams of IP, Unix and netlink alone (seccomp(2)). For this process and its
/// later threads, for good. Errc::unsupported where the kernel takes no filter, Errc::system.
[[nodiscard]] Result<void> enter_sandbox();

}  // namespace culvert::daemon
