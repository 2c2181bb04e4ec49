// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "base/result.hpp"
#include "net/stream_socket.hpp"

namespace culvert::net {

/// Waits for a connected stream socket that somebody passes over `from`, a Unix socket, with a message of one
/// byte, as ssh's ProxyUseFdpass has it. The message of a failure is the cause alone: Errc::closed ("it ended
/// without passing a connection"), Errc::malformed for anything but one descriptor of such a socket,
/// Errc::system, Errc::cancelled. No descriptor that came is left open then. Obeys Asio cancellation.
[[nodiscard]] boost::asio::awaitable<Result<StreamSocket>> receive_socket(StreamSocket& from);

}  // namespace culvert::net
