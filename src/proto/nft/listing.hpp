// SPDX-License-Identifier: Apache-2.0
// What nftables has installed, as far as it matters to us, from the text of `nft list`. (Its JSON would be
// easier to read, but in Debian 12 says neither the comment of a table nor what a rule of iptables matches.)
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proto/nft/rule_set.hpp"

namespace culvert::nft {

struct Chain {
  std::string name = {};
  std::string type = {}, hook = {};  ///< "filter", "forward"; empty: it is one that others jump to
  int priority = 0;                  ///< of those of one hook the lowest is asked first
  bool drops = false;                ///< its policy
  std::vector<std::string> rules = {};

  bool operator==(const Chain&) const = default;
};

struct Counter {
  std::uint64_t packets = 0, bytes = 0;
  bool operator==(const Counter&) const = default;
};

struct Table {
  std::string family, name;
  std::string label;            ///< its comment
  bool is_owned = false;        ///< by a process that alone may change it
  bool is_of_iptables = false;  ///< nft says so: what iptables cannot read must not be added
  std::vector<Chain> chains;
  std::map<std::string, Counter, std::less<>> counters;
  /// Its sets, each with those elements that are names ("eth0"). Without the elements: their names alone.
  std::map<std::string, std::vector<std::string>, std::less<>> sets;
  std::vector<Key> keys;  ///< of its maps, as keys_of() has them; each range by itself

  [[nodiscard]] const Chain* chain(std::string_view called) const;
};

/// The tables of `nft list ruleset` or `nft list table`. Numbers for services and protocols; with or without
/// state. Text that is no listing gives what is like one in it. Names and rules are as they stand there: for
/// a terminal they want printable().
[[nodiscard]] std::vector<Table> read_listing(std::string_view text);

/// What the counters of the mapping at `index` say; nothing for those that are not there.
[[nodiscard]] Traffic traffic_of(const Table& table, std::size_t index);

}  // namespace culvert::nft
