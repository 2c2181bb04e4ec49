// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <string>

#include "engine/server/privileges.hpp"
#include "files/text_file.hpp"

namespace culvert::server {

/// For those who read files. `privileges` must outlive it.
[[nodiscard]] inline files::FileOpener opener(Privileges& privileges) {
  return [&privileges](const std::string& path) {
    auto file = privileges.open(path);
    if (file) return file->release();
    errno = static_cast<int>(file.error().detail);
    return -1;
  };
}

/// What is there: another file, other content, another owner or mode has another stamp. Take it before you
/// read: what changes meanwhile shows then. For every open, so a file is opened for that only if it cannot be
/// looked at otherwise.
[[nodiscard]] std::string file_stamp(const std::string& path, Privileges& privileges);

}  // namespace culvert::server
