// SPDX-License-Identifier: Apache-2.0
// UDP sockets: those that clients write to, and those that are connected to a target. What they carry goes
// through udp_inbox.hpp and udp_outbox.hpp; who waits for many of them uses ready_set.hpp.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/udp.hpp>

#include "base/result.hpp"
#include "net/shared_port.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

/// The most that one datagram can carry over IPv4; over IPv6 it is a little more, which nobody sends.
inline constexpr std::size_t kLargestDatagram = 65507;

/// Non-blocking, close-on-exec. What the kernel puts together (UDP_GRO) arrives as one.
struct UdpSocket {
  UniqueFd fd;
  /// Runs of datagrams of at most this size may leave as one (UDP_SEGMENT). The outbox lowers it where the
  /// kernel refuses: beyond the path's MTU if the socket is connected, or altogether if a device cannot make
  /// checksums.
  std::size_t largest_in_run = kLargestDatagram;
};

/// A bound socket that hears everybody.
struct UdpListener {
  UdpSocket socket;
  boost::asio::ip::udp::endpoint local;  ///< with the port that the kernel chose if 0 was asked for
  /// Bound to 0.0.0.0 or ::. Each arrival says which address its client wrote to, and the answer has to leave
  /// from there: a client that is connected hears nobody else.
  bool any_address = false;

  /// "udp 127.0.0.1:5353".
  [[nodiscard]] std::string name() const;
};

/// A port in use is refused. IPv6 sockets take IPv6 alone. The receive buffer is as large as the system lets
/// it be, up to 4 MiB. The error's message is the line for the user: "cannot listen on udp 127.0.0.1:53:
/// permission denied (ports below 1024 need CAP_NET_BIND_SERVICE; try 8053)".
[[nodiscard]] Result<UdpListener> listen_udp(const boost::asio::ip::udp::endpoint& endpoint);
/// The same for one of several sockets at one port.
[[nodiscard]] Result<UdpListener> listen_shared_udp(const boost::asio::ip::udp::endpoint& endpoint,
                                                    Shares shares);
/// Whichever of them.
using UdpListen = std::function<Result<UdpListener>(const boost::asio::ip::udp::endpoint&)>;

struct UdpConnectOptions {
  /// What it sends from, of the target's family (EAFNOSUPPORT). Port 0: the kernel chooses. With a port, one
  /// socket at a time (EADDRINUSE).
  std::optional<boost::asio::ip::udp::endpoint> source = {};
  /// The source may be an address that this machine does not have (IP_TRANSPARENT; needs CAP_NET_ADMIN).
  bool transparent = false;
};

/// A socket that speaks with `target` alone, and hears of its ICMP errors (IP_RECVERR): see take_udp_error().
/// Errors: Errc::system with the cause alone, `detail` is errno. EAGAIN: the kernel has no local port left.
[[nodiscard]] Result<UdpSocket> connect_udp(const boost::asio::ip::udp::endpoint& target,
                                            const UdpConnectOptions& options = {});

/// How many local ports the kernel chooses from, for all programs (net.ipv4.ip_local_port_range): each socket
/// that connect_udp() makes without a source port takes one.
[[nodiscard]] std::size_t local_ports();

/// Takes all that is in the queue of errors (what stays there takes room from what arrives), and what is
/// pending. The worst: ECONNREFUSED, ICMP's "port unreachable", before others, as EHOSTUNREACH; 0: none.
[[nodiscard]] int take_udp_error(int socket);

/// "127.0.0.1:53", "[fe80::1%eth0]:53".
[[nodiscard]] std::string to_text(const boost::asio::ip::udp::endpoint& endpoint);

}  // namespace culvert::net
