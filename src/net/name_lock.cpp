// SPDX-License-Identifier: Apache-2.0
#include "net/name_lock.hpp"

#include <cerrno>
#include <string>

#include "base/text.hpp"
#include "net/unix_address.hpp"

namespace culvert::net {

Result<std::optional<UniqueFd>> hold_name(std::string_view name) {
  const UnixAddress address = TRY(UnixAddress::make("@" + std::string(name)));
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket && ::bind(socket.get(), address.get(), address.size) == 0)
    return std::optional<UniqueFd>(std::move(socket));
  if (errno == EADDRINUSE) return std::optional<UniqueFd>();
  return fail_errno("cannot hold the name " + printable(name), errno);
}

}  // namespace culvert::net
