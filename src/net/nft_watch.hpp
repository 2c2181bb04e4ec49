// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/netlink_watch.hpp"

namespace culvert::net {

/// What has changed in the rules of this machine.
struct NftChange {
  bool ours = false;    ///< anything in the table of that name
  bool others = false;  ///< tables, chains or rules of others; not the elements of their sets

  bool operator==(const NftChange&) const = default;
};

/// Tells when somebody, this process too, has changed rules of nftables.
class NftWatch {
 public:
  /// Of changes to `table` the watcher is told apart. Errc::denied: CAP_NET_ADMIN is missing; Errc::system.
  [[nodiscard]] static Result<NftWatch> open(const boost::asio::any_io_executor& executor, std::string table);

  /// Waits for a change; what came before the call counts, and what got lost is a change of everything.
  /// Nothing after close().
  [[nodiscard]] boost::asio::awaitable<std::optional<NftChange>> changed();
  void close() { watch_.close(); }

 private:
  NftWatch(NetlinkWatch watch, std::string table) : watch_(std::move(watch)), table_(std::move(table)) {}

  NetlinkWatch watch_;
  std::string table_;
};

/// What the messages of one datagram of netlink say (nfnetlink). Of what cannot be read: nothing.
[[nodiscard]] NftChange read_nft_messages(ByteView datagram, std::string_view table);

}  // namespace culvert::net
