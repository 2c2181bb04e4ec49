// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string_view>

#include "base/result.hpp"

namespace culvert::net {

/// The address of a Unix socket: a path, or '@' and a name that stands in no file system (unix(7): abstract).
struct UnixAddress {
  sockaddr_un name = {};
  socklen_t size = 0;

  /// Errc::usage: it is empty or longer than a socket address (107 bytes).
  [[nodiscard]] static Result<UnixAddress> make(std::string_view path);

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }
};

[[nodiscard]] inline bool is_abstract(std::string_view path) { return path.starts_with('@'); }

}  // namespace culvert::net
