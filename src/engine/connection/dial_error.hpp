// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/connection/channel_stream.hpp"
#include "engine/relay/dialer.hpp"

namespace culvert::connection {

/// What a server's refusal to open a channel means (RFC 4254 section 5.1), in ssh's words: "open failed:
/// connect failed: Connection refused". The server tells the kind of a failed connect in its description
/// alone.
[[nodiscard]] relay::DialError dial_error(const OpenRefused& refused);

}  // namespace culvert::connection
