// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace culvert::cli {

/// What a letter behind '%' stands for. "%%" is always '%'.
using Token = std::pair<char, std::string>;

/// Replaces every token; an unknown one is an error.
[[nodiscard]] Result<std::string> expand_tokens(std::string_view text, std::span<const Token> tokens);

/// Those, and every "${NAME}" by that variable of our environment; an unset one is an error, as in ssh. What
/// a variable or token stands for is taken as it is.
[[nodiscard]] Result<std::string> expand_references(std::string_view text, std::span<const Token> tokens);

/// "~", "~/x" with `home`, "~name/x" with that user's home; anything else as it is.
[[nodiscard]] Result<std::string> expand_tilde(std::string_view path, std::string_view home);

}  // namespace culvert::cli
