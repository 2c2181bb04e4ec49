// SPDX-License-Identifier: Apache-2.0
// What a machine and its router say about ports, whichever of the two protocols carries it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/ip_address.hpp"

namespace culvert::gateway {

/// Of IP (RFC 6887 section 11.1).
enum class Protocol : std::uint8_t { tcp = 6, udp = 17 };

[[nodiscard]] std::string_view name_of(Protocol protocol);  ///< "tcp"

/// Says that a mapping is ours (RFC 6887 section 11.2): who does not know it can neither change nor end it.
using Nonce = std::array<std::uint8_t, 12>;

/// Where a router listens, and where its announcements arrive (224.0.0.1, ff02::1).
inline constexpr std::uint16_t kServerPort = 5351, kClientPort = 5350;

/// The port `outside` of the router should lead to `inside` of this machine.
struct MapRequest {
  Protocol protocol = Protocol::tcp;
  std::uint16_t inside = 0;
  std::uint16_t outside = 0;   ///< wanted; another one may be had. 0: any
  IpAddress outside_address;   ///< wanted, as far as PCP lets us say so; unspecified: any
  std::uint32_t lifetime = 0;  ///< seconds; 0 ends the mapping
  Nonce nonce{};               ///< PCP alone has it
  bool operator==(const MapRequest&) const = default;
};

/// How a router answers: the numbers of PCP (RFC 6887 section 7.4), to which those of NAT-PMP are translated.
enum class Status : std::uint8_t {
  success = 0,
  wrong_version = 1,
  not_authorized = 2,
  malformed_request = 3,
  unknown_opcode = 4,
  unknown_option = 5,
  malformed_option = 6,
  network_failure = 7,
  no_resources = 8,
  unknown_protocol = 9,
  quota_exceeded = 10,
  cannot_provide_outside = 11,
  address_mismatch = 12,
  too_many_peers = 13,
  too_short = 254,  ///< none of PCP's: a success, for less time than it takes to renew it
  other = 255,      ///< a number that we do not know
};

/// For people: "it does not allow that", ...
[[nodiscard]] std::string_view describe(Status status);

/// One datagram of a router.
struct Answer {
  enum class About : std::uint8_t {
    mapping,
    address,       ///< NAT-PMP: of the router outside; comes unasked, too
    announcement,  ///< PCP ANNOUNCE (section 14.1): only the epoch is of interest
    nothing,       ///< the router does not know our version: only `status` counts
  };
  About about = About::nothing;
  Status status = Status::other;
  std::uint32_t epoch = 0;     ///< seconds that the router has known its mappings for
  std::uint32_t lifetime = 0;  ///< seconds: of the mapping, or of PCP's error

  // About a mapping.
  Protocol protocol = Protocol::tcp;
  std::uint16_t inside = 0, outside = 0;
  std::optional<IpAddress> outside_address;  ///< NAT-PMP says it in answers about `address` alone
  std::optional<Nonce> nonce;                ///< NAT-PMP has none

  bool operator==(const Answer&) const = default;
};

}  // namespace culvert::gateway
