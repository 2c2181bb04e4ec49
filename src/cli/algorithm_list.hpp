// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace culvert::cli {

/// `text` as ssh reads Ciphers, MACs, KexAlgorithms and the like: names or patterns ('*', '?') separated by
/// commas. In front of the list '+' appends them to what we prefer, '^' puts them first, '-' removes them.
/// `ours` is all that we have, most wanted first. Names that OpenSSH has and we have not are passed over;
/// others are refused, since a typing error should not pass for a wish. Errc::unsupported: nothing is left.
/// `what` ("cipher") is for the error; it is also what -Q lists them under.
[[nodiscard]] Result<std::vector<std::string>> read_algorithm_list(std::string_view text,
                                                                   std::span<const std::string_view> ours,
                                                                   std::string_view what);

/// The names of such a list that are none of `ours` and were passed over, separated by commas. Patterns name
/// nothing.
[[nodiscard]] std::string left_out_of_list(std::string_view text, const std::vector<std::string>& ours);

}  // namespace culvert::cli
