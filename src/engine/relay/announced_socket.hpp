// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "base/result.hpp"
#include "base/time.hpp"
#include "engine/relay/stream.hpp"
#include "engine/relay/visit.hpp"
#include "net/stream_socket.hpp"

namespace culvert::relay {

/// A socket whose PROXY protocol header has been read, and not one byte behind it.
struct AnnouncedSocket {
  net::StreamSocket socket;
  std::optional<KnownVisit> visit;  ///< none: the header has no addresses (UNKNOWN, LOCAL)
};

/// As ProxyHeaderSource, for whoever needs the socket itself. The caller has seen that it comes from a proxy
/// that is trusted. Errc::malformed, Errc::timed_out after `patience`; obeys Asio cancellation
/// (Errc::cancelled). A failure closes the socket, and its message is for the log.
[[nodiscard]] Task<Result<AnnouncedSocket>> take_announced(net::StreamSocket socket, Duration patience);

}  // namespace culvert::relay
