// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include <sys/stat.h>

#include "base/result.hpp"
#include "base/secret.hpp"

namespace culvert::files {

struct SmallFile {
  SecretBytes content;
  struct stat status;  ///< of the file that was read, not of what the path names now
};

/// Reads all of a file that may hold secrets. Errc::not_found if there is none, Errc::limit if it is longer
/// than `limit` bytes, else Errc::system. The message is the cause alone.
[[nodiscard]] Result<SmallFile> read_small_file(const std::string& path, std::size_t limit);

}  // namespace culvert::files
