// SPDX-License-Identifier: Apache-2.0
#include "net/nft_watch.hpp"

#include <cstring>

#include <gtest/gtest.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

namespace culvert::net {
namespace {

template <class T>
void put(Bytes& bytes, const T& value) {
  const auto* at = reinterpret_cast<const std::uint8_t*>(&value);
  bytes.insert(bytes.end(), at, at + sizeof value);
}

Bytes message(int kind, std::string_view table) {
  Bytes bytes;
  nlattr attribute{};
  attribute.nla_type = NFTA_TABLE_NAME;
  attribute.nla_len = static_cast<std::uint16_t>(sizeof attribute + table.size() + 1);
  nlmsghdr head{};
  head.nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | kind);
  head.nlmsg_len = static_cast<std::uint32_t>(sizeof head + sizeof(nfgenmsg) + attribute.nla_len);
  put(bytes, head);
  put(bytes, nfgenmsg{});
  put(bytes, attribute);
  bytes.insert(bytes.end(), table.begin(), table.end());
  bytes.resize(NLMSG_ALIGN(head.nlmsg_len));
  return bytes;
}

TEST(NftWatch, TellsOurTableFromOthers) {
  EXPECT_EQ(read_nft_messages(message(NFT_MSG_DELTABLE, "culvert"), "culvert"), (NftChange{.ours = true}));
  EXPECT_EQ(read_nft_messages(message(NFT_MSG_DELSETELEM, "culvert"), "culvert"), (NftChange{.ours = true}));
  EXPECT_EQ(read_nft_messages(message(NFT_MSG_NEWRULE, "culvert-2"), "culvert"), (NftChange{.others = true}));
  EXPECT_EQ(read_nft_messages(message(NFT_MSG_NEWSETELEM, "f2b"), "culvert"), NftChange());
  EXPECT_EQ(read_nft_messages(message(NFT_MSG_NEWGEN, "culvert"), "culvert"), NftChange());
}

TEST(NftWatch, ReadsAllMessagesOfADatagram) {
  Bytes both = message(NFT_MSG_NEWSETELEM, "abc");
  const Bytes second = message(NFT_MSG_DELRULE, "culvert");
  both.insert(both.end(), second.begin(), second.end());
  EXPECT_EQ(read_nft_messages(both, "culvert"), (NftChange{.ours = true}));
}

TEST(NftWatch, BelievesNoLength) {
  const Bytes whole = message(NFT_MSG_DELTABLE, "culvert");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    (void)read_nft_messages(part, "culvert");
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const unsigned value : {0U, 1U, 3U, 255U}) {
      Bytes wrong = whole;
      wrong[at] = static_cast<std::uint8_t>(value);
      (void)read_nft_messages(wrong, "culvert");
    }
  }
}

}  // namespace
}  // namespace culvert::net
