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

}  // namespace culvert::server
