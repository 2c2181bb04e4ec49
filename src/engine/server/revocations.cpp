// SPDX-License-Identifier: Apache-2.0
#include "engine/server/revocations.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "engine/server/opened_file.hpp"
#include "files/config_file.hpp"

namespace culvert::server {

Result<void> Revocations::load(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    File& file = files_.emplace_back(File{path});
    (void)refresh(file);
    if (!file.keys) return fail(file.keys.error().code, "revoked keys: " + file.keys.error().message);
  }
  return {};
}

bool Revocations::refresh(File& file) {
  if (!file.watched.is_due(file.path, privileges_)) return false;
  const bool was_good = file.keys.has_value();
  file.keys = files::read_revoked_keys(file.path, files::OwnerCheck::required, opener(privileges_));
  file.watched.was_read(file.keys);
  if (was_good || file.keys) ++version_;
  return true;
}

void Revocations::refresh() {
  for (File& file : files_) {
    if (!refresh(file) || file.keys || !file.watched.is_news(file.keys.error().message)) continue;
    log_event(LogLevel::error, "revoked_keys_unreadable",
              "revoked keys: {}; until it is mended nobody may log in",
              field("reason", file.keys.error().message));
  }
}

const std::string* Revocations::named_by(const crypto::PublicKey& key,
                                         const std::optional<crypto::Certificate>& certificate) const {
  for (const File& file : files_) {
    if (file.keys && (certificate ? file.keys->revokes(*certificate) : file.keys->revokes(key)))
      return &file.path;
  }
  return nullptr;
}

Result<void> Revocations::check(const crypto::PublicKey& key,
                                const std::optional<crypto::Certificate>& certificate) const {
  if (const std::string* path = named_by(key, certificate)) {
    return fail(Errc::verification, fmt::format("the {} is revoked by {}",
                                                certificate ? "certificate" : "key", printable(*path)));
  }
  for (const File& file : files_) {
    if (!file.keys)
      return fail(Errc::verification, "cannot tell whether the key is revoked: " + file.keys.error().message);
  }
  return {};
}

}  // namespace culvert::server
