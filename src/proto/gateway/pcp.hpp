// SPDX-License-Identifier: Apache-2.0
// The datagrams of the Port Control Protocol, version 2 (RFC 6887): MAP without options, and ANNOUNCE.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "proto/gateway/messages.hpp"

namespace culvert::gateway::pcp {

inline constexpr std::size_t kMost = 1100;  ///< bytes of any datagram (section 7)

/// `here`: the address that it is sent from (section 8.1).
[[nodiscard]] Bytes encode(const MapRequest& request, const IpAddress& here);

/// An answer to MAP, or an announcement. Errc::malformed: neither; to be passed over (section 8.3).
[[nodiscard]] Result<Answer> decode(ByteView datagram);

}  // namespace culvert::gateway::pcp
