// SPDX-License-Identifier: Apache-2.0
#include "cli/missing_identities.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <unistd.h>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/expand.hpp"

namespace culvert::cli {

std::vector<std::string> drop_missing_identities(CommandLine& line, std::string_view home) {
  std::vector<std::string> warnings;
  auto& files = line.settings.identity_files;
  for (const std::string& name : line.identity_letters) {
    const auto path = expand_tilde(name, home);
    if (!path || name.find_first_of("%$") != std::string::npos) continue;
    // The public half alone names a key that the agent holds.
    if (::access((*path + ".pub").c_str(), F_OK) == 0 || ::access(path->c_str(), F_OK) == 0) continue;
    warnings.push_back(
        fmt::format("Identity file {} not accessible: {}", printable(*path), std::strerror(errno)));
    if (const auto at = std::ranges::find(files, name); at != files.end()) files.erase(at);
  }
  return warnings;
}

}  // namespace culvert::cli
