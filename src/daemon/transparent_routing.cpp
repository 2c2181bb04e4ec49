// SPDX-License-Identifier: Apache-2.0
//
//     visitor --> our listener;  our socket, bound to the visitor's address --> target
//     visitor <-- our listener;  our socket <-- lo <-- table 100 <-- answer to the visitor's address <--
//     target
#include "daemon/transparent_routing.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include <fmt/format.h>

namespace culvert::daemon {
namespace {

enum class Place : std::uint8_t { loopback, here, elsewhere };

Place place_of(const IpAddress& target, const IpAddress& facing) {
  const auto range = known_range(target);
  if (range && range->kind == AddressKind::loopback) return Place::loopback;
  return target == facing ? Place::here : Place::elsewhere;
}

}  // namespace

void TransparentRouting::add(const IpAddress& target, const IpAddress& facing) {
  if (std::ranges::find(targets_, target, &Target::address) == targets_.end())
    targets_.push_back({target, facing});
}

std::vector<std::string> TransparentRouting::lines() const {
  if (targets_.empty()) return {};
  std::vector<std::string> lines{
      "transparent: targets answer to the visitors' addresses. What brings their answers here, unless it was "
      "done before (mark 1 and table 100 may be any that are free):"};
  const auto have = [this](bool v4, Place place) {
    return std::ranges::any_of(targets_, [&](const Target& one) {
      return one.address.is_v4() == v4 && place_of(one.address, one.facing) == place;
    });
  };
  // An answer from elsewhere is marked if the kernel finds a socket of ours for it: what else passes through
  // here is left alone.
  if (have(true, Place::elsewhere) || have(false, Place::elsewhere)) {
    lines.emplace_back("  nft add table inet culvert-answers");
    lines.emplace_back(
        "  nft 'add chain inet culvert-answers answers { type filter hook prerouting priority mangle; }'");
    lines.emplace_back("  nft add rule inet culvert-answers answers socket transparent 1 meta mark set 1");
  }
  for (const bool v4 : {true, false}) {
    const std::string_view ip = v4 ? "ip" : "ip -6";
    const bool elsewhere = have(v4, Place::elsewhere), loopback = have(v4, Place::loopback);
    if (elsewhere) lines.push_back(fmt::format("  {} rule add fwmark 1 lookup 100", ip));
    // One from a loopback address passes no such hook; but none of those is meant for another machine.
    if (loopback)
      lines.push_back(fmt::format("  {} rule add from {} iif lo lookup 100", ip, v4 ? "127.0.0.0/8" : "::1"));
    if (elsewhere || loopback)
      lines.push_back(fmt::format("  {} route add local default dev lo table 100", ip));
  }
  for (const auto& [address, facing] : targets_) {
    switch (place_of(address, facing)) {
      case Place::loopback:
        break;
      case Place::here:
        lines.push_back(
            fmt::format("  {} is of this machine, whose answers from there do not come back: name "
                        "the target by a loopback address",
                        address.text()));
        break;
      case Place::elsewhere:
        lines.push_back(
            fmt::format("  on {}, unless its way to visitors leads here: {} route replace default via {}",
                        address.text(), address.is_v4() ? "ip" : "ip -6", facing.text()));
    }
  }
  return lines;
}

}  // namespace culvert::daemon
