// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include <sys/stat.h>

#include "base/result.hpp"
#include "base/secret.hpp"

namespace culvert::files {

/// Opens a file for reading: its descriptor, which the caller closes, or -1 and errno.
using FileOpener = std::function<int(const std::string& path)>;
[[nodiscard]] int open_for_reading(const std::string& path);

struct SmallFile {
  SecretBytes content;
  struct stat status;  ///< of the file that was read, not of what the path names now
};

/// Reads all of a file that may hold secrets, and may be a pipe. Errc::not_found if there is none,
/// Errc::limit if it is longer than `limit` bytes, else Errc::system. The message is the cause alone. Blocks.
[[nodiscard]] Result<SmallFile> read_small_file(const std::string& path, std::size_t limit,
                                                const FileOpener& open = open_for_reading);

}  // namespace culvert::files
