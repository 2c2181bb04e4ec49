// SPDX-License-Identifier: Apache-2.0
#include "net/nft_watch.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "net/as_tuple.hpp"
#include "net/netlink.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kLongest = 64 * 1024;

// Attribute 1 is the name of the table in each kind of message that there is.
std::string_view table_of(ByteView attributes) {
  std::string_view table;
  netlink::for_each_attribute(attributes, [&](std::uint16_t type, ByteView value) {
    if (type == NFTA_TABLE_NAME && table.empty()) table = as_text(value).substr(0, as_text(value).find('\0'));
  });
  return table;
}

bool is_of_rules(unsigned message) {
  switch (message) {
    case NFT_MSG_NEWTABLE:
    case NFT_MSG_DELTABLE:
    case NFT_MSG_NEWCHAIN:
    case NFT_MSG_DELCHAIN:
    case NFT_MSG_NEWRULE:
    case NFT_MSG_DELRULE:
      return true;
    default:
      return false;
  }
}

}  // namespace

NftChange read_nft_messages(ByteView datagram, std::string_view table) {
  NftChange change;
  netlink::for_each_message(datagram, [&](const nlmsghdr& head, ByteView payload) {
    const unsigned message = NFNL_MSG_TYPE(head.nlmsg_type);
    if (NFNL_SUBSYS_ID(head.nlmsg_type) != NFNL_SUBSYS_NFTABLES || message == NFT_MSG_NEWGEN ||
        payload.size() < sizeof(nfgenmsg))
      return true;
    if (table_of(netlink::behind(payload, sizeof(nfgenmsg))) == table) {
      change.ours = true;
    } else if (is_of_rules(message)) {
      change.others = true;
    }
    return true;
  });
  return change;
}

Result<NftWatch> NftWatch::open(const asio::any_io_executor& executor, std::string table) {
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
  if (!socket) return fail_errno("cannot watch nftables", errno);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1U << (NFNLGRP_NFTABLES - 1);
  sockaddr generic{};
  static_assert(sizeof address <= sizeof generic);
  std::memcpy(&generic, &address, sizeof address);
  if (::bind(socket.get(), &generic, sizeof address) != 0) {
    auto error = fail_errno("cannot watch nftables", errno);
    if (errno == EPERM) error.error().code = Errc::denied;
    return error;
  }
  return NftWatch(asio::posix::stream_descriptor(executor, socket.release()), std::move(table));
}

asio::awaitable<std::optional<NftChange>> NftWatch::changed() {
  for (;;) {
    const auto [error] = co_await socket_.async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
    if (error || !socket_.is_open()) co_return std::nullopt;
    const NftChange change = read_all();
    if (change != NftChange()) co_return change;
  }
}

NftChange NftWatch::read_all() {
  static thread_local std::array<std::uint8_t, kLongest> buffer;
  NftChange all;
  for (;;) {
    const ssize_t size = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == ENOBUFS) {
      all = {.ours = true, .others = true};
      continue;
    }
    if (size <= 0) return all;
    const NftChange change =
        read_nft_messages(ByteView(buffer).first(static_cast<std::size_t>(size)), table_);
    all.ours |= change.ours;
    all.others |= change.others;
  }
}

void NftWatch::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace culvert::net
