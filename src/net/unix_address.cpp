// SPDX-License-Identifier: Apache-2.0
#include "net/unix_address.hpp"

#include <cstddef>
#include <cstring>

#include <fmt/format.h>

namespace culvert::net {

Result<UnixAddress> UnixAddress::make(std::string_view path) {
  UnixAddress address;
  constexpr std::size_t kMost = sizeof address.name.sun_path - 1;
  if (path.empty() || path == "@" || path.size() > kMost || path.contains('\0')) {
    return fail(Errc::usage, fmt::format("path does not fit into a socket address (1 to {} bytes)", kMost));
  }
  address.name.sun_family = AF_UNIX;
  std::memcpy(address.name.sun_path, path.data(), path.size());
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  if (is_abstract(path)) {
    address.name.sun_path[0] = '\0';
  } else {
    ++address.size;  // its final zero
  }
  return address;
}

}  // namespace culvert::net
