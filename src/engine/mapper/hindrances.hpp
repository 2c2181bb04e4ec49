// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/mapper/kernel_table.hpp"
#include "proto/nft/listing.hpp"
#include "proto/nft/rule_set.hpp"

namespace culvert::mapper {

/// What keeps mapped connections from working although the rules are there, each in one line with what to do:
/// a machine that does not pass packets on, a target without a route or whose replies take another way, rules
/// of others. Asks the kernel about routes and settings; blocks shortly.
[[nodiscard]] std::vector<std::string> hindrances(const nft::RuleSet& rules,
                                                  std::span<const nft::Table> others);

/// The families whose forwarding is off although mappings need it: their interfaces do not pass packets on
/// by a setting of their own.
[[nodiscard]] Families unforwarded(std::span<const nft::Mapping> mappings);

}  // namespace culvert::mapper
