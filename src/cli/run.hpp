// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace culvert::cli {

/// The program, from its arguments (without its name) to its exit status (see ExitStatus).
[[nodiscard]] int run(std::span<const std::string_view> arguments);

}  // namespace culvert::cli
