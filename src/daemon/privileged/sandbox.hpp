// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"

namespace culvert::daemon {

/// Who is in it.
enum class Sandboxed {
  forwarder,  ///< who carries streams and datagrams, or keeps rules
  helper,     ///< who reads files and binds ports for a server, and signs
};

/// From now on the kernel answers EPERM to every system call that such a process has no use for: programs
/// cannot be started, processes not looked into, memory not made both writable and executable, and sockets
/// are streams and datagrams of IP, Unix and netlink alone (seccomp(2)). A helper cannot write, make or
/// remove files either, nor connect or listen. For this process and its later threads, for good.
/// Errc::unsupported where the kernel takes no filter, Errc::system.
[[nodiscard]] Result<void> enter_sandbox(Sandboxed who);

/// Refuses new privileges, and enters the sandbox if there is to be one. Where the kernel takes no filter it
/// goes on without: a line for the user says so, which is empty otherwise. Errc::system.
[[nodiscard]] Result<std::string> confine(Sandboxed who, bool with_sandbox);

}  // namespace culvert::daemon
