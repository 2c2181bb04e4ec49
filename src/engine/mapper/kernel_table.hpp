// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "engine/mapper/forwarding_loan.hpp"
#include "net/nft_tables.hpp"
#include "net/unique_fd.hpp"
#include "proto/nft/listing.hpp"
#include "proto/nft/rule_set.hpp"

namespace culvert::mapper {

/// The table of nftables that one run of the program keeps: "culvert", or, beside others, "culvert-2" and so
/// on. All calls block, and are for one thread.
///
/// Who runs holds the number of his table (net::hold_number): a table whose number nobody holds was left
/// behind. It is removed in the same transaction that installs a new one, unless it is to be kept
/// (--persist): then only one that has a mapping in common takes its place.
class KernelTable {
 public:
  /// Chooses a name; nothing is changed yet. No other culvert does the same until install(). Errc::usage:
  /// another culvert that runs has one of the mappings, or a part of one. Errc::limit: too many run.
  /// Errc::denied, Errc::system as net::NftTables.
  [[nodiscard]] static Result<KernelTable> take(nft::RuleSet rules, bool is_kept);

  [[nodiscard]] const std::string& name() const { return rules_.table; }
  /// What take() has found that install() takes the place of.
  [[nodiscard]] const std::vector<std::string>& left_behind() const { return left_behind_; }

  /// Has this machine pass on packets of these families, whose forwarding is off, as long as a culvert runs
  /// here. Needs CAP_NET_ADMIN. Errc::system.
  [[nodiscard]] Result<void> enable_forwarding(Families families);

  /// Puts the rules there in one transaction. What they have counted goes on.
  [[nodiscard]] Result<void> install();
  /// Puts them back if they are not what install() has put there. Whether that was so.
  [[nodiscard]] Result<bool> repair();
  /// Other mappings in place of these, in one transaction. After an error those of before are still meant.
  [[nodiscard]] Result<void> change(std::vector<nft::Mapping> mappings);
  /// Since the first install(), in the order of the mappings.
  [[nodiscard]] Result<std::vector<nft::Traffic>> traffic();
  /// The tables of others.
  [[nodiscard]] Result<std::vector<nft::Table>> others();
  /// And sets forwarding back, unless a table of culvert is left, which may need it.
  [[nodiscard]] Result<void> remove();

  [[nodiscard]] const std::vector<nft::Mapping>& mappings() const { return rules_.mappings; }

 private:
  KernelTable(net::NftTables tables, nft::RuleSet rules, bool is_kept)
      : tables_(std::move(tables)), rules_(std::move(rules)), is_kept_(is_kept) {}
  Result<void> choose(const std::vector<nft::Table>& installed);

  net::NftTables tables_;
  nft::RuleSet rules_;
  bool is_kept_;
  ForwardingLoan loan_;  // its table is put back with ours
  std::vector<std::string> left_behind_;
  std::optional<net::UniqueFd> turn_;                // from take() until install()
  std::optional<net::UniqueFd> held_;                // our number
  std::vector<net::UniqueFd> held_until_installed_;  // those of what was left behind
  std::string installed_;                            // the listing of our table, without counters
};

/// Removes all tables of culvert that nobody keeps alive, kept ones too: their names. Sets forwarding back as
/// remove() does. Errors as above.
[[nodiscard]] Result<std::vector<std::string>> remove_left_behind();

}  // namespace culvert::mapper
