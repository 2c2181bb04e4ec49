// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "base/result.hpp"

namespace culvert::net {

/// What to connect from so that it is from this interface, as OpenSSH's BindInterface chooses: of each family
/// that the interface has, the first address that others can reach, else the first one that is loopback or
/// (IPv6) link-local. Never empty. Errc::system, with the cause alone: "there is no such interface", "it is
/// down", "it has no address".
[[nodiscard]] Result<std::vector<boost::asio::ip::address>> interface_addresses(const std::string& name);

}  // namespace culvert::net
