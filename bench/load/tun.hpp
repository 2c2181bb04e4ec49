// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "load/socket.hpp"

namespace culvert::load {

struct TunSettings {
  std::string netns;    ///< path of a network namespace, e.g. /proc/PID/ns/net
  std::string name;     ///< of the device inside it
  std::string address;  ///< IPv4, of our end
  int mtu = 1500;
  /// Packets of up to 64 KiB, to be cut later, and checksums left out: what a network card would be given.
  bool offload = true;
};

/// The largest packet of a device, with the header in front that tells how to cut it.
inline constexpr std::size_t kMaxTunPacket = 65536 + 64;

/// Makes a TUN device inside the namespace and takes it up, in 255.255.255.252. It is gone when the
/// descriptor is closed. Leaves the calling thread in that namespace. The descriptor does not block.
[[nodiscard]] Fd open_tun(const TunSettings& settings);

}  // namespace culvert::load
