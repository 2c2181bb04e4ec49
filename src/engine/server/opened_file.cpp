// SPDX-License-Identifier: Apache-2.0
#include "engine/server/opened_file.hpp"

#include <sys/stat.h>

#include <fmt/format.h>

namespace culvert::server {
namespace {

// A change of the owner or the mode is one of st_ctim alone.
std::string stamp_from(const struct stat& status) {
  return fmt::format("{} {} {} {}.{} {}.{}", status.st_dev, status.st_ino, status.st_size,
                     status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec,
                     status.st_ctim.tv_nsec);
}

}  // namespace

std::string file_stamp(const std::string& path, Privileges& privileges) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0) return stamp_from(status);
  if (errno != EACCES) return "none";
  const auto file = privileges.open(path);
  return file && ::fstat(file->get(), &status) == 0 ? stamp_from(status) : "none";
}

}  // namespace culvert::server
