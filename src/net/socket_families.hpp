// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include <sys/socket.h>

namespace culvert::net {

/// All kinds of sockets that this program makes: streams and datagrams, and netlink to know the own
/// addresses.
inline constexpr std::array kSocketFamilies = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

}  // namespace culvert::net
