// SPDX-License-Identifier: Apache-2.0
#include "net/socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <limits>
#include <system_error>

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

template <class Call>
Transferred transfer(Call call) {
  for (;;) {
    const ssize_t count = call();
    if (count >= 0) return {static_cast<std::size_t>(count), 0};
    if (errno != EINTR) return {0, errno};
  }
}

template <class Value>
Result<void> set_option(int socket, int level, int option, const Value& value, const char* name) {
  if (::setsockopt(socket, level, option, &value, sizeof value) == 0) return {};
  return fail_errno(name, errno);
}

constexpr Duration kSeldom = std::chrono::seconds(1);
constexpr std::uint32_t kMostProbes = 127;  // what TCP_KEEPCNT takes

int keepalive_seconds(Duration time) {
  return static_cast<int>(
      std::clamp<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(time).count(), 1, 32767));
}

struct SocketName {
  sockaddr_storage storage = {};
  socklen_t length = sizeof storage;
  bool valid = false;

  [[nodiscard]] const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketName name_of(int socket, int (*ask)(int, sockaddr*, socklen_t*)) {
  SocketName name;
  name.valid = ask(socket, reinterpret_cast<sockaddr*>(&name.storage), &name.length) == 0;
  return name;
}

std::optional<asio::ip::tcp::endpoint> endpoint_of(const SocketName& name) {
  return name.valid ? tcp_endpoint(name.storage, name.length) : std::nullopt;
}

std::string path_of(const SocketName& name) {
  constexpr std::size_t kHeader = offsetof(sockaddr_un, sun_path);
  if (!name.valid || name.address()->sa_family != AF_UNIX || name.length <= kHeader) return "";
  const auto* path = reinterpret_cast<const sockaddr_un*>(&name.storage)->sun_path;
  const std::size_t length = name.length - kHeader;
  if (path[0] == '\0') return "@" + std::string(path + 1, length - 1);
  return {path, ::strnlen(path, length)};
}

std::string text_of(const SocketName& name) {
  if (const auto endpoint = endpoint_of(name)) return to_text(*endpoint);
  if (!name.valid || name.address()->sa_family != AF_UNIX) return "unknown address";
  const std::string path = path_of(name);
  return path.empty() ? "unix socket" : printable(path);
}

bool is_local(const asio::ip::tcp::endpoint& peer, const std::optional<asio::ip::tcp::endpoint>& here) {
  if (peer.address().is_loopback()) return true;
  if (peer.address().is_v6() && peer.address().to_v6().is_v4_mapped() &&
      asio::ip::make_address_v4(asio::ip::v4_mapped, peer.address().to_v6()).is_loopback()) {
    return true;
  }
  return here && here->address() == peer.address();  // an address of this machine's own goes by loopback, too
}

}  // namespace

bool Transferred::would_block() const { return error == EAGAIN || error == EWOULDBLOCK; }

Transferred try_read(int socket, MutableBytes into) {
  CULVERT_ASSERT(!into.empty());
  return transfer([&] { return ::recv(socket, into.data(), into.size(), MSG_DONTWAIT); });
}

Transferred try_read(int socket, std::span<const MutableBytes> into) {
  std::array<iovec, kMaxViews> vectors;
  std::size_t count = 0;
  for (const MutableBytes view : into) {
    if (count == vectors.size()) break;
    if (!view.empty()) vectors[count++] = {view.data(), view.size()};
  }
  CULVERT_ASSERT(count > 0);
  msghdr message = {};
  message.msg_iov = vectors.data();
  message.msg_iovlen = count;
  return transfer([&] { return ::recvmsg(socket, &message, MSG_DONTWAIT); });
}

Transferred try_write(int socket, std::span<const ByteView> bytes) {
  std::array<iovec, kMaxViews> vectors;
  std::size_t count = 0;
  for (const ByteView view : bytes) {
    if (count == vectors.size()) break;
    if (!view.empty()) vectors[count++] = {const_cast<std::uint8_t*>(view.data()), view.size()};
  }
  if (count == 0) return {};
  msghdr message = {};
  message.msg_iov = vectors.data();
  message.msg_iovlen = count;
  return transfer([&] { return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL); });
}

Transferred try_write(int socket, ByteView bytes) {
  if (bytes.empty()) return {};
  return transfer([&] { return ::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL); });
}

Error io_error(std::string_view what, int errno_value) {
  Error error{Errc::system, std::generic_category().message(errno_value), errno_value};
  if (!what.empty()) error.message = fmt::format("{}: {}", what, error.message);
  if (errno_value == ECONNRESET) error.code = Errc::reset;
  if (errno_value == EPIPE) error.code = Errc::closed;
  if (errno_value == ETIMEDOUT) error.code = Errc::timed_out;
  return error;
}

Result<void> set_no_delay(int socket, bool on) {
  return set_option(socket, IPPROTO_TCP, TCP_NODELAY, static_cast<int>(on), "TCP_NODELAY");
}

Result<void> set_keepalive(int socket, bool on) {
  return set_option(socket, SOL_SOCKET, SO_KEEPALIVE, static_cast<int>(on), "SO_KEEPALIVE");
}

Result<void> set_keepalive(int socket, Duration interval, std::uint32_t count) {
  const auto seconds = std::chrono::seconds(keepalive_seconds(interval));
  const auto most = std::clamp<std::uint32_t>(count, 1, kMostProbes);
  return set_liveness(socket, {.keepalive = true,
                               .idle = seconds,
                               .interval = seconds,
                               .count = most,
                               .user_timeout = seconds * (most + 1)});
}

Result<void> set_liveness(int socket, const Liveness& liveness) {
  if (liveness.keepalive) {
    TRY(set_keepalive(socket, true));
    if (liveness.idle > Duration::zero())
      TRY(set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, keepalive_seconds(liveness.idle), "TCP_KEEPIDLE"));
    if (liveness.interval > Duration::zero())
      TRY(set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, keepalive_seconds(liveness.interval),
                     "TCP_KEEPINTVL"));
    if (liveness.count > 0)
      TRY(set_option(socket, IPPROTO_TCP, TCP_KEEPCNT,
                     static_cast<int>(std::min(liveness.count, kMostProbes)), "TCP_KEEPCNT"));
  }
  if (liveness.user_timeout > Duration::zero()) return set_user_timeout(socket, liveness.user_timeout);
  return {};
}

Result<void> set_quick_ack(int socket, bool on) {
  return set_option(socket, IPPROTO_TCP, TCP_QUICKACK, static_cast<int>(on), "TCP_QUICKACK");
}

Result<void> set_receive_low_water(int socket, std::size_t bytes) {
  return set_option(socket, SOL_SOCKET, SO_RCVLOWAT, static_cast<int>(bytes), "SO_RCVLOWAT");
}

Result<void> set_not_sent_low_water(int socket, std::size_t bytes) {
  const auto value =
      static_cast<std::uint32_t>(std::min<std::size_t>(bytes, std::numeric_limits<std::int32_t>::max()));
  return set_option(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, value, "TCP_NOTSENT_LOWAT");
}

Result<void> set_user_timeout(int socket, Duration time) {
  using Milliseconds = std::chrono::milliseconds;
  const auto value = std::clamp<std::int64_t>(std::chrono::ceil<Milliseconds>(time).count(), 0,
                                              std::numeric_limits<std::int32_t>::max());
  return set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<unsigned>(value), "TCP_USER_TIMEOUT");
}

Result<void> set_reset_on_close(int socket) {
  return set_option(socket, SOL_SOCKET, SO_LINGER, linger{.l_onoff = 1, .l_linger = 0}, "SO_LINGER");
}

void unpace_if_local(int socket) {
  const auto peer = peer_endpoint(socket);
  if (!peer || !is_local(*peer, local_endpoint(socket))) return;
  unpace(socket);
}

void unpace(int socket) {
  // What new sockets get is the same for all of a namespace, and seldom changed.
  thread_local std::optional<Instant> fair_until;
  const Instant now = monotonic_now();
  if (fair_until && now < *fair_until) return;
  std::array<char, 16> name = {};
  socklen_t length = name.size();
  if (::getsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, name.data(), &length) != 0) return;
  if (std::string_view(name.data()) != "bbr") {
    fair_until = now + kSeldom;
    return;
  }
  for (const std::string_view other : {"reno", "cubic"}) {
    if (::setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, other.data(),
                     static_cast<socklen_t>(other.size())) == 0)
      return;
  }
}

std::optional<asio::ip::tcp::endpoint> tcp_endpoint(const sockaddr_storage& address, std::size_t length) {
  const int family = address.ss_family;
  const std::size_t size = family == AF_INET    ? sizeof(sockaddr_in)
                           : family == AF_INET6 ? sizeof(sockaddr_in6)
                                                : std::numeric_limits<std::size_t>::max();
  if (length < size) return std::nullopt;
  asio::ip::tcp::endpoint endpoint;
  std::memcpy(endpoint.data(), &address, size);
  endpoint.resize(size);
  return endpoint;
}

std::optional<asio::ip::tcp::endpoint> peer_endpoint(int socket) {
  return endpoint_of(name_of(socket, ::getpeername));
}

std::optional<asio::ip::tcp::endpoint> local_endpoint(int socket) {
  return endpoint_of(name_of(socket, ::getsockname));
}

std::size_t unsent(int socket) {
  int waiting = 0;
  return ::ioctl(socket, SIOCOUTQ, &waiting) == 0 ? static_cast<std::size_t>(std::max(waiting, 0)) : 0;
}

std::string local_path(int socket) { return path_of(name_of(socket, ::getsockname)); }

std::string to_text(const asio::ip::tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  if (endpoint.address().is_v6()) return fmt::format("[{}]:{}", address, endpoint.port());
  return fmt::format("{}:{}", address, endpoint.port());
}

std::string peer_text(int socket) { return text_of(name_of(socket, ::getpeername)); }

std::string local_text(int socket) { return text_of(name_of(socket, ::getsockname)); }

}  // namespace culvert::net
