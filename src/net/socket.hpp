// SPDX-License-Identifier: Apache-2.0
// System calls on sockets, and their options. StreamSocket has what waits.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sys/socket.h>
#include <boost/asio/ip/tcp.hpp>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace culvert::net {

/// What one system call did. No text is made for "not now", which is the ordinary case.
struct Transferred {
  std::size_t bytes = 0;  ///< of a read: 0 with no error is the end
  int error = 0;          ///< errno, 0 if there was none; EINTR never shows

  [[nodiscard]] bool would_block() const;
  [[nodiscard]] bool failed() const { return error != 0 && !would_block(); }
};

/// One recv without waiting, whether or not the descriptor is non-blocking. `into` must not be empty.
[[nodiscard]] Transferred try_read(int socket, MutableBytes into);
[[nodiscard]] Transferred try_read(int socket, std::span<const MutableBytes> into);

/// One send without waiting, and without SIGPIPE, of as many views as one call takes (kMaxViews). Empty views
/// are allowed.
[[nodiscard]] Transferred try_write(int socket, std::span<const ByteView> bytes);
[[nodiscard]] Transferred try_write(int socket, ByteView bytes);
inline constexpr std::size_t kMaxViews = 64;

/// The error of a failed read, write or connect: ECONNRESET is Errc::reset, EPIPE Errc::closed, ETIMEDOUT
/// Errc::timed_out, else Errc::system; `detail` is errno. Its message is "WHAT: strerror", or strerror alone
/// if `what` is empty.
[[nodiscard]] Error io_error(std::string_view what, int errno_value);

/// How a connection whose other end has gone without a word is found out. Zero: as the system is set.
struct Liveness {
  bool keepalive = false;                ///< the kernel asks the other end's in times of silence
  Duration idle = Duration::zero();      ///< of silence, before it asks; whole seconds
  Duration interval = Duration::zero();  ///< between questions without an answer; whole seconds
  std::uint32_t count = 0;               ///< so many of them end the connection
  /// How long what was sent may stay unacknowledged (TCP_USER_TIMEOUT). It takes the place of `count`.
  Duration user_timeout = Duration::zero();
};
/// Of a TCP socket; connections inherit it from their listener. Either way what ends one is Errc::timed_out.
Result<void> set_liveness(int socket, const Liveness& liveness);

Result<void> set_no_delay(int socket, bool on);
Result<void> set_keepalive(int socket, bool on);
/// The kernel asks the other end's after `interval` of silence, and as often again; the connection ends, with
/// Errc::timed_out, when `count` of them had no answer, or when what was sent is unacknowledged for as long.
/// Whole seconds. TCP alone.
Result<void> set_keepalive(int socket, Duration interval, std::uint32_t count);
/// Acknowledge at once. The kernel forgets it by itself: re-arm after each read where it matters.
Result<void> set_quick_ack(int socket, bool on);
/// A socket counts as readable only with so many bytes or at its end (SO_RCVLOWAT). Its buffer grows to twice
/// as much, if it must.
Result<void> set_receive_low_water(int socket, std::size_t bytes);
/// A socket counts as writable only while less than `bytes` of its send queue are unsent (TCP_NOTSENT_LOWAT).
Result<void> set_not_sent_low_water(int socket, std::size_t bytes);
/// How long sent data may stay unacknowledged before the connection counts as broken; zero: the system's
/// default.
Result<void> set_user_timeout(int socket, Duration time);
/// close() becomes an abort: unsent data is dropped and the peer of a TCP connection sees a reset.
Result<void> set_reset_on_close(int socket);

/// If `socket` is TCP, its peer is on this machine, and its congestion control is bbr (which paces even
/// loopback, down to a quarter of what it could carry): uses reno, or cubic, instead. Never fails: a slower
/// connection is a connection.
void unpace_if_local(int socket);
/// The same without looking at the peer: before listen() or connect() on an address of this machine.
void unpace(int socket);

/// What the kernel wrote, if that is one of TCP.
[[nodiscard]] std::optional<boost::asio::ip::tcp::endpoint> tcp_endpoint(const sockaddr_storage& address,
                                                                         std::size_t length);
/// The TCP address of the peer or of this end; none for other sockets or if not connected.
[[nodiscard]] std::optional<boost::asio::ip::tcp::endpoint> peer_endpoint(int socket);
[[nodiscard]] std::optional<boost::asio::ip::tcp::endpoint> local_endpoint(int socket);

/// Of what was written to a connected TCP or Unix socket, how many bytes the peer does not have yet: not
/// acknowledged, or not read. 0 where that cannot be told.
[[nodiscard]] std::size_t unsent(int socket);

/// Where a Unix socket of this end is bound: a path in the file system, or "@" and a name in the abstract
/// namespace, either as it is; empty if it has no name.
[[nodiscard]] std::string local_path(int socket);

/// "127.0.0.1:80", "[fe80::1%eth0]:80".
[[nodiscard]] std::string to_text(const boost::asio::ip::tcp::endpoint& endpoint);
/// Of a socket's peer (this end): an address as above, a printable path, or "unix socket" for one without a
/// name.
[[nodiscard]] std::string peer_text(int socket);
[[nodiscard]] std::string local_text(int socket);

}  // namespace culvert::net
