// SPDX-License-Identifier: Apache-2.0
// Port mappings as a table of nftables: values in, the text that nft(8) and libnftables read out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ip_address.hpp"

namespace culvert::nft {

/// Protocols with ports, by the numbers of IANA.
inline constexpr std::uint8_t kTcp = 6, kUdp = 17, kDccp = 33, kSctp = 132;

[[nodiscard]] bool has_ports(std::uint8_t protocol);

/// What the kernel has counted of a mapping since its rules were installed.
struct Traffic {
  std::uint64_t connections = 0;
  std::uint64_t packets_to = 0, bytes_to = 0;      ///< towards the target
  std::uint64_t packets_back = 0, bytes_back = 0;  ///< from it

  bool operator==(const Traffic&) const = default;
};

/// What arrives here goes to a target instead.
struct Mapping {
  std::uint8_t protocol = kTcp;
  /// Where it arrives; none: at any address of this machine but loopback's.
  std::optional<IpAddress> at = {};
  /// So many ports from the first one; all that is 0 where the protocol has none that we know.
  std::uint16_t port = 0, ports = 0;
  /// Addresses of the target, the first of each family counts. A packet keeps its family.
  std::vector<IpAddress> targets = {};
  std::uint16_t target_port = 0;  ///< of the first port, and so on
  std::string name = {};          ///< for people: "tcp/*:8080 -> 10.0.0.5:80"
  Traffic traffic = {};           ///< its counters begin with it

  bool operator==(const Mapping&) const = default;
};

/// One table of family inet:
/// - What arrives is looked up in maps, so that its cost does not grow with their number; there is one for
///   each protocol, family, and for mappings with and without an address, and another one for ranges.
/// - DNAT in prerouting and, for clients on this machine, in output.
/// - What has been mapped is accepted and counted, in forward, input and output. (Other tables are asked as
///   well: one that drops has the last word.)
/// - Of clients on this machine the source address was chosen before DNAT, and is set again in postrouting.
struct RuleSet {
  std::string table = "culvert";
  std::string label = {};   ///< a comment on the table; label_of() reads it back
  bool masquerade = false;  ///< targets see this machine as the client
  std::vector<Mapping> mappings = {};

  bool operator==(const RuleSet&) const = default;
};

/// "table inet culvert { ... }", as nft(8) reads it.
[[nodiscard]] std::string to_text(const RuleSet& rules);
/// The same in place of the table of this name that may be there: one transaction.
[[nodiscard]] std::string replace_text(const RuleSet& rules);
[[nodiscard]] std::string remove_text(std::string_view table);

/// What a mapping takes for itself: ports, or protocols without ports, of one family.
struct Key {
  std::string group;    ///< "tcp4", "udp6", "whole4"
  std::string at = {};  ///< at this address alone; empty: at any of this machine
  std::uint32_t first = 0, last = 0;

  /// In one table: both take the same. (What names an address goes before what does not.)
  [[nodiscard]] bool meets(const Key& other) const;
  /// In two tables: some packets are for both, and which one gets them is chance.
  [[nodiscard]] bool competes_with(const Key& other) const;
  bool operator==(const Key&) const = default;
};
[[nodiscard]] std::vector<Key> keys_of(const Mapping& mapping);

/// Two mappings that take the same of what arrives, by their names; nothing: there are none.
[[nodiscard]] std::optional<std::pair<std::string, std::string>> overlap(const RuleSet& rules);

/// The longest comment that nftables takes (NFTNL_UDATA_COMMENT_MAXLEN), and what may stand in one.
inline constexpr std::size_t kLongestComment = 127;
[[nodiscard]] std::string comment_of(std::string_view text);

/// The name of the counters of a mapping begins with this: "m12".
[[nodiscard]] std::string counter_prefix(std::size_t index);

}  // namespace culvert::nft
