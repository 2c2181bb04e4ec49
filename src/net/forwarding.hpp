// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace culvert::net {

/// Whether this machine passes packets on between its interfaces: net.ipv4.ip_forward,
/// net.ipv6.conf.all.forwarding. Of the network namespace of the calling thread.
struct Forwarding {
  bool is_v4 = true;

  /// As sysctl(8) names it.
  [[nodiscard]] std::string name() const;
  /// Errc::not_found: this kernel has no such protocol.
  [[nodiscard]] Result<bool> is_on() const;
  /// Whether what arrives at that interface is passed on: of IPv4 each interface has a setting, of IPv6 the
  /// whole machine (since Linux 6.17 an interface can be excepted: force_forwarding). False: it is not there.
  [[nodiscard]] bool is_on(const std::string& interface) const;
  /// The interfaces whose own setting (conf.NAME.forwarding) is on, and "default", that of those to come.
  [[nodiscard]] std::vector<std::string> interfaces_on() const;
  /// Sets it for all interfaces, and those to come, too, if that is a change. Needs CAP_NET_ADMIN.
  /// Errc::system with the line for the user.
  [[nodiscard]] Result<void> set(bool on) const;
  /// The own setting of an interface. One that is gone is none to set.
  [[nodiscard]] Result<void> set(bool on, const std::string& interface) const;
};

/// Interfaces that would lose their IPv6 default route with forwarding on, since they have it from a router's
/// advertisements and listen to those only without (accept_ra is 1).
[[nodiscard]] std::vector<std::string> interfaces_that_need_advertisements();

/// Whether connection tracking, and so NAT, knows the ports of DCCP: Linux has it no more since 6.17. True if
/// tracking is not loaded yet.
[[nodiscard]] bool tracks_dccp();

}  // namespace culvert::net
