// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
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

/// Whether who connects to this (normalised) address from here reaches this machine: loopback, an
/// unspecified address, one of an interface, or what a route makes local (`ip route add local NETWORK dev
/// lo`). As it was a second ago at most. While the kernel does not say (no descriptor is left), interfaces
/// have the addresses that they had when it last did, and an address that nothing is known of is one.
[[nodiscard]] bool is_own(const IpAddress& address);

/// Whether a socket can be bound to `address` at this moment: what is bound to one that is gone is dead.
/// is_own() does not tell that: it may be a second late, and knows no zone, without which a link-local
/// address of this machine may be a neighbour's as well (fe80::1 on two links).
[[nodiscard]] bool has_address(const boost::asio::ip::address& address);

/// Makes sure that this thread can tell, whatever becomes scarce later. Errc::system with the cause alone.
[[nodiscard]] Result<void> learn_own_addresses();

/// The address of this machine that it would speak to `peer` from. Errc::system, with the cause alone.
[[nodiscard]] Result<boost::asio::ip::address> own_address_towards(const boost::asio::ip::address& peer);

/// The address as rules see it: without a zone.
[[nodiscard]] IpAddress ip_address_of(const boost::asio::ip::address& address);
[[nodiscard]] boost::asio::ip::address asio_address_of(const IpAddress& address);

/// IPv4 that is written as IPv6 (::ffff:192.0.2.1) as what it is: packets to it are IPv4. Others as they are.
[[nodiscard]] boost::asio::ip::address unmapped(const boost::asio::ip::address& address);

}  // namespace culvert::net
