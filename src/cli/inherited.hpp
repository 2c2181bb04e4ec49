// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace culvert::cli {

/// Closes the descriptors above 2 that this process was started with (the end of a pipeline, the lock of a
/// script: whoever waits for their end would wait for us), but those that one of `arguments` names, in it or
/// as a whole, as /dev/fd/N or /proc/self/fd/N: `-F <(...)` of a shell. These stay open, and no child gets
/// them. Before anything else is opened, and before threads exist.
void close_inherited(std::span<const std::string_view> arguments);

}  // namespace culvert::cli
