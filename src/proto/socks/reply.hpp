// SPDX-License-Identifier: Apache-2.0
// What a proxy answers, for each of its protocols.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "proto/socks/address.hpp"

namespace culvert::socks {

enum class Protocol : std::uint8_t { socks4, socks5, http };

/// Why a request is not served.
enum class Failure : std::uint8_t {
  general,
  prohibited,
  network_unreachable,
  host_unreachable,
  connection_refused,
  timed_out,
  unsupported,  ///< the command
  overloaded
};

/// Success. `bound` is the proxy's end of the connection (CONNECT; HTTP tells none), where it listens, or who
/// has come (BIND); hosts that are not addresses, and IPv6 in SOCKS 4, are sent as zero, which stands for the
/// proxy's own address.
void write_success(Protocol protocol, const Address& bound, Bytes& out);
/// SOCKS 4: 91 for everything; SOCKS 5: RFC 1928 section 6; HTTP: a status with RFC 9209's words for it.
void write_failure(Protocol protocol, Failure failure, Bytes& out);

/// SOCKS 5 reply with this code and no address.
void write_socks5_reply(std::uint8_t code, Bytes& out);
/// A response without content after which the connection ends. `fields`: more header lines, each with its
/// CRLF.
void write_http_response(int status, std::string_view fields, Bytes& out);

}  // namespace culvert::socks
