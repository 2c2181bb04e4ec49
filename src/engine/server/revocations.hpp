// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/public_key.hpp"
#include "engine/server/opened_file.hpp"
#include "engine/server/privileges.hpp"
#include "files/revoked_keys.hpp"

namespace culvert::server {

/// The files of keys that may not log in (any more), whatever else is known of them. They are read again when
/// they change. Of use to one thread at a time.
class Revocations {
 public:
  /// Nothing is revoked. `privileges` must outlive it.
  explicit Revocations(Privileges& privileges) : privileges_(privileges) {}

  /// Once. Errors if one of them cannot be read.
  [[nodiscard]] Result<void> load(const std::vector<std::string>& paths);

  /// Reads what has changed. A file that is wrong now is a line in the log.
  void refresh();
  /// Another number after each change.
  [[nodiscard]] std::uint64_t version() const { return version_; }

  /// The file that names the key that is offered, or the certificate in which it is; null: none that can be
  /// read does.
  [[nodiscard]] const std::string* named_by(const crypto::PublicKey& key,
                                            const std::optional<crypto::Certificate>& certificate) const;
  /// Whether it may log in: while a file cannot be read nobody knows. Errc::verification with the reason, for
  /// the operator.
  [[nodiscard]] Result<void> check(const crypto::PublicKey& key,
                                   const std::optional<crypto::Certificate>& certificate) const;

 private:
  struct File {
    std::string path;
    WatchedFile watched = {};
    Result<files::RevokedKeys> keys = fail(Errc::not_found, "not read yet");
  };

  [[nodiscard]] bool refresh(File& file);

  Privileges& privileges_;
  std::vector<File> files_;
  std::uint64_t version_ = 0;
};

}  // namespace culvert::server
