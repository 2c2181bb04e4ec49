// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "base/bytes.hpp"
#include "net/udp_inbox.hpp"
#include "net/udp_outbox.hpp"

namespace culvert::relay {

inline constexpr std::size_t kScratchSize = std::size_t{256} * 1024;

/// The one buffer that all streams of this thread read into. What is in it lasts until the reader next
/// suspends: another stream may then read. kScratchSize bytes, made at the first call.
[[nodiscard]] MutableBytes thread_scratch();

/// The same for datagrams. What is in them lasts until whoever filled them next suspends; so leave them
/// empty.
struct DatagramScratch {
  net::UdpInbox inbox;
  net::UdpOutbox outbox;
};
[[nodiscard]] DatagramScratch& thread_datagrams();

}  // namespace culvert::relay
