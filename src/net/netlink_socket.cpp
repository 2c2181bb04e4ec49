// SPDX-License-Identifier: Apache-2.0
#include "net/netlink_socket.hpp"

#include <array>
#include <cerrno>
#include <optional>

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace culvert::net {

namespace {

constexpr timeval kPatience = {2, 0};
constexpr std::size_t kMostMessages = 100'000;  // a full table of the Internet's routes is none for us

}  // namespace

Result<NetlinkSocket> NetlinkSocket::open(int protocol) {
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!socket) return netlink::failed(errno);
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  return NetlinkSocket(std::move(socket));
}

Result<void> NetlinkSocket::ask(std::uint16_t type, std::uint16_t flags, ByteView body,
                                const std::function<void(ByteView)>& visit) {
  nlmsghdr head{};
  head.nlmsg_len = static_cast<std::uint32_t>(NLMSG_LENGTH(body.size()));
  head.nlmsg_type = type;
  head.nlmsg_seq = ++question_;
  head.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  Bytes request(NLMSG_HDRLEN);
  std::memcpy(request.data(), &head, sizeof head);
  request.insert(request.end(), body.begin(), body.end());
  if (::send(socket_.get(), request.data(), request.size(), 0) < 0) return netlink::failed(errno);

  const bool is_dump = (flags & NLM_F_DUMP) != 0;
  std::array<std::uint8_t, 64 * 1024> buffer;
  std::size_t seen = 0;
  std::optional<Result<void>> done;
  while (!done) {
    const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return netlink::failed(size < 0 ? errno : EPIPE);
    netlink::for_each_message(ByteView(buffer).first(static_cast<std::size_t>(size)),
                              [&](const nlmsghdr& answer, ByteView message) {
                                if (answer.nlmsg_seq != question_) return true;  // of one that was given up
                                if (answer.nlmsg_type == NLMSG_DONE) {
                                  done = Result<void>();
                                } else if (answer.nlmsg_type == NLMSG_ERROR) {
                                  const auto error = netlink::read_as<nlmsgerr>(message);
                                  const int code = error ? -error->error : EPROTO;
                                  done = code == 0 ? Result<void>() : netlink::failed(code);
                                } else if (++seen > kMostMessages) {
                                  done = netlink::failed(E2BIG);
                                } else {
                                  visit(message);
                                  if (!is_dump) done = Result<void>();
                                }
                                return !done;
                              });
  }
  return *done;
}

}  // namespace culvert::net
