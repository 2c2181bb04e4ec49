// SPDX-License-Identifier: Apache-2.0
#include "net/udp_socket.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <boost/asio/ip/tcp.hpp>

#include "net/listen_error.hpp"
#include "net/socket.hpp"

namespace culvert::net {

namespace ip = boost::asio::ip;
using ip::udp;

namespace {

constexpr int kListenerBuffer = 4 * 1024 * 1024;
constexpr int kConnectedBuffer = 1024 * 1024;
/// An error queue is as long as its sender likes; what is left shows again.
constexpr int kErrorsAtOnce = 64;

bool set(int socket, int level, int option, int value) {
  return ::setsockopt(socket, level, option, &value, sizeof value) == 0;
}

UniqueFd open_udp(const udp::endpoint& endpoint) {
  return UniqueFd(
      ::socket(endpoint.protocol().family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP));
}

// Best effort: the system has a limit (net.core.rmem_max), and a kernel without UDP_GRO still works.
void prepare_to_receive(int socket, int buffer) {
  (void)set(socket, SOL_SOCKET, SO_RCVBUF, buffer);
  (void)set(socket, IPPROTO_UDP, UDP_GRO, 1);
}

// What strangers sent to a port before it was connected to one peer.
void discard_all(int socket) {
  for (char byte; ::recv(socket, &byte, sizeof byte, MSG_DONTWAIT) >= 0;) {
  }
}

std::unexpected<Error> cause_alone(int error) { return fail(Errc::system, ::strerrordesc_np(error), error); }

}  // namespace

std::string UdpListener::name() const { return "udp " + to_text(local); }

Result<UdpListener> listen_udp(const udp::endpoint& endpoint) {
  return listen_shared_udp(endpoint, Shares::nothing);
}

Result<UdpListener> listen_shared_udp(const udp::endpoint& endpoint, Shares shares) {
  UdpListener listener;
  listener.any_address = endpoint.address().is_unspecified();
  listener.socket.fd = open_udp(endpoint);
  const int socket = listener.socket.fd.get();
  if (socket < 0) return cannot_listen(endpoint, errno);
  const bool is_v6 = endpoint.address().is_v6();
  if (is_v6 && !set(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1)) return cannot_listen(endpoint, errno);
  if (listener.any_address) {
    const bool told =
        is_v6 ? set(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) : set(socket, IPPROTO_IP, IP_PKTINFO, 1);
    if (!told) return cannot_listen(endpoint, errno);
  }
  if (const int error = bind_socket(socket, endpoint, shares); error != 0)
    return cannot_listen(endpoint, error);
  prepare_to_receive(socket, kListenerBuffer);
  socklen_t length = static_cast<socklen_t>(listener.local.capacity());
  if (::getsockname(socket, listener.local.data(), &length) != 0) return cannot_listen(endpoint, errno);
  listener.local.resize(length);
  return listener;
}

Result<UdpSocket> connect_udp(const udp::endpoint& target, const UdpConnectOptions& options) {
  if (options.source && options.source->protocol() != target.protocol()) return cause_alone(EAFNOSUPPORT);
  UdpSocket made;
  made.fd = open_udp(target);
  const int socket = made.fd.get();
  if (socket < 0) return cause_alone(errno);
  const bool is_v6 = target.address().is_v6();
  if (options.transparent && !(is_v6 ? set(socket, IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
                                     : set(socket, IPPROTO_IP, IP_TRANSPARENT, 1))) {
    return cause_alone(errno);
  }
  if (options.source) {
    // The port is chosen by connect(): of all that are free, and so late that no stranger is heard on it.
    if (options.source->port() == 0) (void)set(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (const int error = bind_socket(socket, *options.source); error != 0) return cause_alone(error);
  }
  const bool errors_told =
      is_v6 ? set(socket, IPPROTO_IPV6, IPV6_RECVERR, 1) : set(socket, IPPROTO_IP, IP_RECVERR, 1);
  if (!errors_told) return cause_alone(errno);
  prepare_to_receive(socket, kConnectedBuffer);
  if (::connect(socket, target.data(), static_cast<socklen_t>(target.size())) != 0) return cause_alone(errno);
  if (options.source && options.source->port() != 0) discard_all(socket);
  return made;
}

std::size_t local_ports() {
  std::size_t first = 32768;
  std::size_t last = 60999;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first >> last;
  return first > 0 && first <= last && last <= 65535 ? last - first + 1 : 1;
}

int take_udp_error(int socket) {
  int worst = 0;
  const auto note = [&worst](int error) {
    if (error != 0 && worst != ECONNREFUSED) worst = error;
  };
  for (int taken = 0; taken < kErrorsAtOnce; ++taken) {
    alignas(cmsghdr) std::uint8_t control[CMSG_SPACE(sizeof(sock_extended_err) + sizeof(sockaddr_in6))];
    msghdr message = {};
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) break;
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
      const bool is_error = (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
                            (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR);
      if (is_error && part->cmsg_len >= CMSG_LEN(sizeof(sock_extended_err)))
        note(static_cast<int>(reinterpret_cast<const sock_extended_err*>(CMSG_DATA(part))->ee_errno));
    }
  }
  int pending = 0;
  socklen_t length = sizeof pending;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &pending, &length) == 0) note(pending);
  return worst;
}

std::string to_text(const udp::endpoint& endpoint) {
  return to_text(ip::tcp::endpoint(endpoint.address(), endpoint.port()));
}

}  // namespace culvert::net
