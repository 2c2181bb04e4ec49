// SPDX-License-Identifier: Apache-2.0
// Forwarding is one setting of the whole machine. Culverts that need it share it: the first one switches it
// on, and the last one back. How it was before stands in a table of nftables ("inet culvert-forwarding")
// without rules, which outlives whoever is killed.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "net/nft_tables.hpp"
#include "proto/nft/listing.hpp"

namespace culvert::mapper {

/// For which families something has to do with the forwarding of this machine.
struct Families {
  bool v4 = false, v6 = false;
  bool operator==(const Families&) const = default;
};

/// What culvert has changed. Calls block. Errors: Errc::system with the line for the user, and those of
/// net::NftTables.
class ForwardingLoan {
 public:
  /// Takes over what the table says, if it says something: another culvert may have written it.
  [[nodiscard]] Result<void> read(net::NftTables& tables);

  /// Switches it on for these families, which are off. The table says so before. Needs CAP_NET_ADMIN.
  [[nodiscard]] Result<void> take(net::NftTables& tables, Families families);
  /// Has the table say again what this says, if somebody has removed it: commands for a transaction.
  [[nodiscard]] std::string text() const;
  /// As it was before, and of each interface. Removes the table.
  [[nodiscard]] Result<void> give_back(net::NftTables& tables);

  [[nodiscard]] static bool is_its_table(const nft::Table& table);

 private:
  struct Family {
    bool is_lent = false;
    std::vector<std::string> on;  // interfaces, and "default", that passed packets on even so
  };
  [[nodiscard]] Family& of(bool is_v4) { return is_v4 ? v4_ : v6_; }
  [[nodiscard]] const Family& of(bool is_v4) const { return is_v4 ? v4_ : v6_; }

  Family v4_, v6_;
};

}  // namespace culvert::mapper
