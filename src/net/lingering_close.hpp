// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "base/time.hpp"
#include "net/stream_socket.hpp"

namespace culvert::net {

/// How long lingering_close() waits for the peer.
inline constexpr Duration kLingerTime = std::chrono::seconds(5);
/// How many it waits for at once on one context, by how many descriptors the process may have: 4096, or a
/// quarter of those. One more ends the oldest.
[[nodiscard]] std::size_t most_lingering();

/// Closes so that what was sent still arrives. A plain close() of a socket with unread bytes, or whose peer
/// sends more, resets the connection and drops the send queue (RFC 2525 section 2.17). So: ends our
/// direction, reads and throws away until the peer ends its own, then closes; after `time` closes in any
/// case. A peer that goes on sending is heard for the first MiB of it; then the close only waits until the
/// peer's kernel has what was sent. Where descriptors run out, it does not wait (DescriptorRelief). Owned by
/// the executor's context: when that ends, the socket is closed at once. Waiting ones keep io_context::run()
/// from returning.
void lingering_close(StreamSocket socket, Duration time = kLingerTime);

}  // namespace culvert::net
