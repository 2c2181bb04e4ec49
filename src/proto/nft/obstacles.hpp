// SPDX-License-Identifier: Apache-2.0
// Which of the rules of others stop what we map. A packet that one table accepts is still shown to the next:
// our accept does not override the drop of another.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "proto/nft/listing.hpp"

namespace culvert::nft {

/// What mapped connections look like to the rules of others.
struct Passage {
  bool v4 = false, v6 = false;  ///< of which families there are some
  bool forwarded = false;       ///< some go on to other machines: the hooks `forward` and `postrouting`
  bool local = false;           ///< some stay on this one: the hook `input`

  bool operator==(const Passage&) const = default;
};

struct Obstacle {
  std::string where;   ///< "table inet filter, chain forward"
  std::string remedy;  ///< what to type, or to write where

  /// One line for people, with both.
  [[nodiscard]] std::string text() const;
  bool operator==(const Obstacle&) const = default;
};

/// The base chains that end in a drop or a reject, by rule or by policy, unless they accept what was
/// translated. Conditions that cannot be judged here (interfaces, addresses, ports) count as not met.
/// Printable.
[[nodiscard]] std::vector<Obstacle> obstacles(std::span<const Table> tables, const Passage& passage);

}  // namespace culvert::nft
