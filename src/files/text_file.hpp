// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <functional>
#include <string>

#include "base/result.hpp"

namespace culvert::files {

struct TextFile {
  std::string text;
  struct stat status;  ///< of the file that was read, whatever the path names by now
};

/// Opens a file for reading: its descriptor, which the caller closes, or -1 and errno.
using FileOpener = std::function<int(const std::string& path)>;
[[nodiscard]] int open_for_reading(const std::string& path);

/// The whole file, which may be a pipe. Messages name the path. Errc::not_found if there is none, Errc::limit
/// above `max_size` bytes, Errc::system. Blocks.
[[nodiscard]] Result<TextFile> read_text_file(const std::string& path, std::size_t max_size,
                                              const FileOpener& open = open_for_reading);

}  // namespace culvert::files
