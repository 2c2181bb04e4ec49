// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "base/result.hpp"

namespace culvert::net {

/// Whether an interface of this machine that is up has an address in one of these networks, each
/// "ADDRESS/BITS" or an address alone. Loopback does not count. Errc::usage: that is no network, or bits
/// behind the prefix are set; Errc::system.
[[nodiscard]] Result<bool> has_address_in(std::span<const std::string_view> networks);

/// All addresses of this machine's interfaces that are up, loopback among them. None where the system does
/// not tell.
[[nodiscard]] std::vector<boost::asio::ip::address> own_addresses();

}  // namespace culvert::net
