// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace culvert::cli {

/// Before anything else in main(): what belongs to the process and not to any part of it. No core dumps and
/// no debugger of another user's (keys are in memory), files private, all three standard descriptors open and
/// no others but those that `arguments` name, SIGPIPE ignored, as many descriptors as the system allows, one
/// heap.
void prepare_process(std::span<const std::string_view> arguments);

/// Standard input becomes /dev/null (-n).
void drop_standard_input();

/// All three standard descriptors become /dev/null (-f).
void drop_standard_streams();

}  // namespace culvert::cli
