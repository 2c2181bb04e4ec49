// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/ip_address.hpp"

namespace culvert::daemon {

/// What has to be set up for DirectPlan::transparent: targets answer to the addresses of visitors, and those
/// answers have to come back to this machine, and there to our sockets.
class TransparentRouting {
 public:
  /// `facing`: the address of this machine that the target is spoken to from.
  void add(const IpAddress& target, const IpAddress& facing);

  /// The commands, in lines for the log: for exactly the families and places of the targets. None without
  /// targets.
  [[nodiscard]] std::vector<std::string> lines() const;

 private:
  struct Target {
    IpAddress address;
    IpAddress facing;
  };
  std::vector<Target> targets_;  // each once
};

}  // namespace culvert::daemon
