// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/identities.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"

namespace culvert::tunnel {

void Identities::load(const ServerOptions& options) {
  const auto before = std::exchange(files_, {});
  for (const std::string& path : options.identity_files) {
    auto file = IdentityFile::load(path);
    if (!file) {
      complain(options, path, file.error());
      continue;
    }
    const auto same = std::ranges::find_if(before, [&](const auto& old) { return old->is_same_file(*file); });
    files_.push_back(same != before.end() ? *same : std::make_shared<IdentityFile>(*std::move(file)));
  }
  loaded_ = true;
}

void Identities::complain(const ServerOptions& options, const std::string& path, const Error& error) const {
  const auto level = [this](LogLevel first) { return loaded_ ? LogLevel::debug : first; };
  if (error.code == Errc::denied) {
    log(level(LogLevel::warning), "{}", error.message);
  } else if (options.identities_explicit) {
    log(level(LogLevel::warning), "Identity file {} not accessible: {}", path, error.message);
  } else {
    log(error.code == Errc::not_found ? LogLevel::debug : level(LogLevel::warning), "identity file {}: {}",
        path, error.message);
  }
}

}  // namespace culvert::tunnel
