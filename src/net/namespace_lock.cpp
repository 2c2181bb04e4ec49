// SPDX-License-Identifier: Apache-2.0
#include "net/namespace_lock.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>

#include <fmt/format.h>

#include "net/netlink_socket.hpp"
#include "net/unix_address.hpp"

namespace culvert::net {
namespace {

constexpr std::uint16_t kFirstGroup = 0xC500;

// NFULNL_CFG_CMD_BIND, as it is sent.
struct BindCommand {
  nlattr head{};
  nfulnl_msg_config_cmd command{};
  std::array<std::uint8_t, 3> padding{};
};
static_assert(sizeof(BindCommand) == NLMSG_ALIGN(sizeof(BindCommand)));

Result<void> bind_to(NetlinkSocket& socket, std::uint16_t group) {
  nfgenmsg header{};
  header.version = NFNETLINK_V0;
  header.res_id = htons(group);
  BindCommand bind;
  bind.head.nla_type = NFULA_CFG_CMD;
  bind.head.nla_len = sizeof bind.head + sizeof bind.command;
  bind.command.command = NFULNL_CFG_CMD_BIND;
  Bytes attributes(sizeof bind);
  std::memcpy(attributes.data(), &bind, sizeof bind);
  return socket.ask<nfgenmsg>(NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG, NLM_F_ACK, header, attributes,
                              [](const nfgenmsg&, ByteView) {});
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
  constexpr const char* kCannot = "cannot hold a group of nfnetlink_log";
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return fail_errno(kCannot, static_cast<int>(socket.error().detail));
  const auto bound = bind_to(*socket, static_cast<std::uint16_t>(kFirstGroup + number));
  if (bound) return std::optional<UniqueFd>(std::move(*socket).release());
  const int error = static_cast<int>(bound.error().detail);
  if (error == EPERM) return std::optional<UniqueFd>();
  if (error == EINVAL) return hold_name(number);
  return fail_errno(kCannot, error);
}

}  // namespace culvert::net
