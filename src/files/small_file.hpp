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
/// The same, but waits neither for somebody who writes to a pipe nor, when it is read, for ever for bytes.
[[nodiscard]] int open_without_waiting(const std::string& path);

struct SmallFile {
  SecretBytes content;
  struct stat status;  ///< of the file that was read, not of what the path names now
};

/// Reads all of a file that may hold secrets, and may be a pipe. Errc::not_found if there is none,
/// Errc::limit if it is longer than `limit` bytes, else Errc::system. The message is the cause alone. Blocks;
/// where `open` has set O_NONBLOCK, for at most ten seconds without a byte (Errc::timed_out), and not at all
/// on a pipe that nobody writes to (Errc::system).
[[nodiscard]] Result<SmallFile> read_small_file(const std::string& path, std::size_t limit,
                                                const FileOpener& open = open_for_reading);

}  // namespace culvert::files
