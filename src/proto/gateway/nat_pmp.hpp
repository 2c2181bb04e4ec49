// SPDX-License-Identifier: Apache-2.0
// The datagrams of NAT-PMP (RFC 6886), which is version 0 of PCP and knows IPv4 alone.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "proto/gateway/messages.hpp"

namespace culvert::gateway::nat_pmp {

/// What is the router's address outside? (section 3.2)
[[nodiscard]] Bytes encode_address_request();
/// Section 3.3; one that ends a mapping: section 3.4.
[[nodiscard]] Bytes encode(const MapRequest& request);

/// An answer about the address or a mapping. Errc::malformed: neither; to be passed over.
[[nodiscard]] Result<Answer> decode(ByteView datagram);

}  // namespace culvert::gateway::nat_pmp
