// SPDX-License-Identifier: Apache-2.0
#include "net/nft_watch.hpp"

#include <cerrno>
#include <string_view>
#include <utility>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "net/netlink.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

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
  auto watch = NetlinkWatch::open(executor, "nftables", NETLINK_NETFILTER, 1U << (NFNLGRP_NFTABLES - 1));
  if (!watch && watch.error().detail == EPERM) watch.error().code = Errc::denied;
  if (!watch) return std::unexpected(std::move(watch).error());
  return NftWatch(std::move(*watch), std::move(table));
}

asio::awaitable<std::optional<NftChange>> NftWatch::changed() {
  while (co_await watch_.told()) {
    NftChange all;
    const bool is_whole = watch_.take([this, &all](ByteView datagram) {
      const NftChange change = read_nft_messages(datagram, table_);
      all.ours |= change.ours;
      all.others |= change.others;
    });
    if (!is_whole) all = {.ours = true, .others = true};
    if (all != NftChange()) co_return all;
  }
  co_return std::nullopt;
}

}  // namespace culvert::net
