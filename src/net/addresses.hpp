// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "base/ip_address.hpp"
#include "base/result.hpp"

namespace culvert::net {

/// An interface of this machine and one of its addresses.
struct InterfaceAddress {
  std::string interface;
  bool is_up;
  bool is_loopback;                                 ///< the interface
  std::optional<boost::asio::ip::address> address;  ///< nothing: of another kind than IP
};

/// All of them; each interface is among them. Errc::system, with the cause alone.
[[nodiscard]] Result<std::vector<InterfaceAddress>> interface_addresses();

/// Every address of this machine, as it was a second ago at most; while the kernel does not say (no
/// descriptor is left), as it was when it last did. Until the thread asks again. Empty only if it has never
/// said.
[[nodiscard]] std::span<const IpAddress> own_addresses();

/// The address of this machine that it would speak to `peer` from. Errc::system, with the cause alone.
[[nodiscard]] Result<boost::asio::ip::address> own_address_towards(const boost::asio::ip::address& peer);

/// The address as rules see it: without a zone.
[[nodiscard]] IpAddress ip_address_of(const boost::asio::ip::address& address);
[[nodiscard]] boost::asio::ip::address asio_address_of(const IpAddress& address);

}  // namespace culvert::net
