// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "files/small_file.hpp"

namespace culvert::files {

struct TextFile {
  std::string text;
  struct stat status;  ///< as that of SmallFile
};

/// A file without secrets, as read_small_file(), whose errors name the path.
[[nodiscard]] Result<TextFile> read_text_file(const std::string& path, std::size_t max_size,
                                              const FileOpener& open = open_for_reading);

}  // namespace culvert::files
