// SPDX-License-Identifier: Apache-2.0
// known_hosts files on disk. Messages name the path. These calls block; files are small.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace culvert::files {

/// The whole file. Errc::not_found if there is none, Errc::limit above kMaxKnownHostsSize, Errc::timed_out,
/// Errc::system. A pipe is read as far as somebody writes to it, and never waited for without end.
[[nodiscard]] Result<std::string> read_known_hosts(const std::string& path);

/// Appends `line` (with its line end) in one write, so that programs that learn keys at the same time do not
/// mix their lines; a last line without a line end is ended first. The file is made with mode 0600, and its
/// folder with 0700 if that is missing (but not the folder's own parents). Errc::system, also for a pipe.
Result<void> append_known_hosts(const std::string& path, std::string_view line);

}  // namespace culvert::files
