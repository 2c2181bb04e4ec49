// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/result.hpp"
#include "base/time.hpp"
#include "net/stream_socket.hpp"

namespace culvert::net {

struct ConnectOptions {
  Duration attempt_timeout = Duration::zero();  ///< of each address; zero: the system's
  /// Connect from the first one of the same family; without one an address is passed over. Empty: from any.
  std::vector<boost::asio::ip::address> bind_addresses = {};
  /// With bind_addresses: the port to connect from; 0: the kernel chooses. From one port there is one
  /// connection at a time to each destination: another one fails with EADDRNOTAVAIL.
  std::uint16_t bind_port = 0;
  /// bind_addresses may be of other machines (IP_TRANSPARENT), see may_be_transparent(). Answers come back
  /// only where routing brings them here.
  bool transparent = false;
  Liveness liveness = {};
  bool no_delay = true;
  /// RFC 8305 section 5: how long an attempt runs alone before the next one starts beside it.
  Duration stagger = std::chrono::milliseconds(250);
};

/// Connects to one of `addresses` (Happy Eyeballs, RFC 8305: families take turns, staggered attempts, the
/// first one to answer wins), of which the first 32 are tried, 8 at once. On the caller's executor, which
/// must run on one thread (or be a strand); obeys Asio cancellation (Errc::cancelled). The message of a
/// failure is the cause alone, that of the most telling attempt: "Connection refused", "No route to host",
/// "Connection timed out". `detail` is its errno; Errc::timed_out for a time-out, else Errc::system.
[[nodiscard]] boost::asio::awaitable<Result<StreamSocket>> connect_tcp(
    std::vector<boost::asio::ip::tcp::endpoint> addresses, ConnectOptions options = {});

/// Connects to a Unix stream socket, which may be an "@name" (UnixAddress). Errors as above: "No such file or
/// directory", "Connection refused"; Errc::usage for a path that does not fit into a socket address (107
/// bytes). `time`: how long whoever listens there may have no room for one more; zero: as long as it takes.
[[nodiscard]] boost::asio::awaitable<Result<StreamSocket>> connect_unix(std::string path,
                                                                        Duration time = Duration::zero());

/// Whether this process may connect from the addresses of others. Errc::denied, with what is missing and how
/// to give it.
[[nodiscard]] Result<void> may_be_transparent();

/// The order in which connect_tcp tries: the families alternate, beginning with the first address's (RFC 8305
/// section 4).
[[nodiscard]] std::vector<boost::asio::ip::tcp::endpoint> interleave_families(
    std::vector<boost::asio::ip::tcp::endpoint> addresses);

}  // namespace culvert::net
