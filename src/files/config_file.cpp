// SPDX-License-Identifier: Apache-2.0
#include "files/config_file.hpp"

#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/text.hpp"
#include "files/text_file.hpp"

namespace culvert::files {
namespace {

// Whether a group is the private one of the user, as Debian makes them: no one else is in it.
bool is_group_of_user_alone(gid_t group, uid_t user) {
  const passwd* own = ::getpwuid(user);
  if (own == nullptr) return false;
  const std::string name = own->pw_name;
  const struct group* entry = ::getgrgid(group);
  if (entry == nullptr) return false;
  for (char** member = entry->gr_mem; *member != nullptr; ++member) {
    if (name != *member) return false;
  }
  bool alone = true;
  ::setpwent();
  while (const passwd* other = ::getpwent()) {
    if (other->pw_gid == group && name != other->pw_name) {
      alone = false;
      break;
    }
  }
  ::endpwent();
  return alone;
}

bool is_safe(const struct stat& status) {
  const uid_t user = ::getuid();
  if (status.st_uid != 0 && status.st_uid != user) return false;
  if ((status.st_mode & S_IWOTH) != 0) return false;
  return (status.st_mode & S_IWGRP) == 0 || is_group_of_user_alone(status.st_gid, user);
}

}  // namespace

Result<std::string> read_config_file(const std::string& path, OwnerCheck check, const FileOpener& open,
                                     std::size_t max_size) {
  TextFile file = TRY(read_text_file(path, max_size, open));
  if (check == OwnerCheck::required && !is_safe(file.status)) {
    return fail(Errc::verification,
                fmt::format("Bad owner or permissions on {} (chmod go-w keeps others from changing it)",
                            printable(path)));
  }
  return std::move(file.text);
}

Result<std::vector<std::string>> find_config_files(const std::string& pattern) {
  glob_t found{};
  const int status = ::glob(pattern.c_str(), GLOB_TILDE, nullptr, &found);
  std::vector<std::string> paths;
  if (status == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (status == 0 || status == GLOB_NOMATCH) return paths;
  return fail(Errc::system, fmt::format("cannot look for files {}", printable(pattern)));
}

}  // namespace culvert::files
