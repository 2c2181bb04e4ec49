// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "net/unique_fd.hpp"

struct nft_ctx;

namespace culvert::net {

/// The rule sets of nftables in the network namespace of the thread that opens this, through libnftables,
/// which is named here and nowhere else. Calls block: not for a thread with other work. One thread at a time.
class NftTables {
 public:
  enum class Detail : std::uint8_t {
    outline,   ///< without the elements of sets and maps: others may have very many
    whole,     ///< what stays the same while nobody changes a rule
    counters,  ///< what counters say, too
  };

  /// Errc::unsupported: libnftables is not there. Errc::system: there is no memory, or no netlink.
  [[nodiscard]] static Result<NftTables> open();

  /// Commands as nft(8) reads them, all of them or none. Errc::denied: CAP_NET_ADMIN is missing. Errc::limit:
  /// this process has no descriptors left. Errc::system with what libnftables says, printable.
  [[nodiscard]] Result<void> run(const std::string& commands);
  /// What `command` prints ("list ruleset"), services and protocols as numbers, behind its warnings ("#
  /// Warning: ..."). Errc::not_found: there is no such table. Of commands that name one table, "list table"
  /// alone reads no other.
  [[nodiscard]] Result<std::string> list(const std::string& command, Detail detail);

 private:
  struct Free {
    void operator()(nft_ctx* context) const;
  };
  explicit NftTables(nft_ctx* context) : context_(context) {}
  [[nodiscard]] Result<std::string> run(const std::string& commands, unsigned flags);

  bool take_spares();

  std::unique_ptr<nft_ctx, Free> context_;
  // Held for libnftables, which ends the process when it cannot open a socket.
  std::vector<UniqueFd> spares_;
};

}  // namespace culvert::net
