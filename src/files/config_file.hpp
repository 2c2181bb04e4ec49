// SPDX-License-Identifier: Apache-2.0
// Configuration files on disk. These calls block; files are small.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "files/ssh_config.hpp"
#include "files/text_file.hpp"

namespace culvert::files {

enum class OwnerCheck : bool { skip, required };

/// The text of one file. With OwnerCheck::required it must belong to the user or to root, and nobody else may
/// be able to write to it: "Bad owner or permissions on PATH". Errc::not_found if there is none, Errc::limit
/// above `max_size` bytes, Errc::system.
[[nodiscard]] Result<std::string> read_config_file(const std::string& path, OwnerCheck check,
                                                   const FileOpener& open = open_for_reading,
                                                   std::size_t max_size = kMaxConfigSize);

/// The paths that a pattern of the shell names ('*', '?', '[a-z]', '~' at the start), sorted. None is no
/// error.
[[nodiscard]] Result<std::vector<std::string>> find_config_files(const std::string& pattern);

}  // namespace culvert::files
