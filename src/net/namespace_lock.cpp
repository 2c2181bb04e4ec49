// SPDX-License-Identifier: Apache-2.0
#include "net/namespace_lock.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>

#include <fmt/format.h>

#include "net/netlink.hpp"
#include "net/unix_address.hpp"

namespace culvert::net {
namespace {

constexpr std::uint16_t kFirstGroup = 0xC500;
constexpr timeval kPatience = {2, 0};

struct Request {
  nlmsghdr head{};
  nfgenmsg group{};
  nlattr attribute{};
  nfulnl_msg_config_cmd command{};
  std::array<std::uint8_t, 3> padding{};
};
static_assert(sizeof(Request) == NLMSG_ALIGN(sizeof(Request)));

Request bind_to(std::uint16_t group) {
  Request request;
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.group.version = NFNETLINK_V0;
  request.group.res_id = htons(group);
  request.attribute.nla_type = NFULA_CFG_CMD;
  request.attribute.nla_len = sizeof request.attribute + sizeof request.command;
  request.command.command = NFULNL_CFG_CMD_BIND;
  return request;
}

// The errno of the answer; 0: done.
int answer_of(int socket) {
  std::array<std::uint8_t, 1024> buffer;
  ssize_t size = 0;
  while ((size = ::recv(socket, buffer.data(), buffer.size(), 0)) < 0 && errno == EINTR) {
  }
  if (size < 0) return errno;
  int answer = EPROTO;
  netlink::for_each_message(ByteView(buffer).first(static_cast<std::size_t>(size)),
                            [&](const nlmsghdr& head, ByteView payload) {
                              const auto error = netlink::read_as<nlmsgerr>(payload);
                              if (head.nlmsg_type == NLMSG_ERROR && error) answer = -error->error;
                              return false;
                            });
  return answer;
}

Result<std::optional<UniqueFd>> hold_name(std::uint8_t number) {
  const UnixAddress address = TRY(UnixAddress::make(fmt::format("@culvert/nft/{}", number)));
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket && ::bind(socket.get(), address.get(), address.size) == 0)
    return std::optional<UniqueFd>(std::move(socket));
  if (errno == EADDRINUSE) return std::optional<UniqueFd>();
  return fail_errno("cannot hold a name", errno);
}

}  // namespace

Result<std::optional<UniqueFd>> hold_number(std::uint8_t number) {
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  const Request request = bind_to(static_cast<std::uint16_t>(kFirstGroup + number));
  if (!socket || ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) != 0 ||
      ::send(socket.get(), &request, sizeof request, 0) < 0)
    return fail_errno("cannot hold a group of nfnetlink_log", errno);
  const int error = answer_of(socket.get());
  if (error == 0) return std::optional<UniqueFd>(std::move(socket));
  if (error == EPERM) return std::optional<UniqueFd>();
  if (error == EINVAL) return hold_name(number);
  return fail_errno("cannot hold a group of nfnetlink_log", error);
}

}  // namespace culvert::net
