// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/private_key.hpp"
#include "files/small_file.hpp"

namespace culvert::tunnel {

/// Of a key or a certificate, at most 256 KiB. Errors, and how long it may block on a pipe: as
/// files::read_small_file() with open_without_waiting().
[[nodiscard]] Result<files::SmallFile> read_key_file(const std::string& path);

/// A private key file (-i, IdentityFile): its public half as far as it can be had without asking, and the key
/// itself later.
class IdentityFile {
 public:
  /// Reads `path` once, and `path`.pub only if that is needed to know the public half. Errc::not_found if
  /// neither is there. A file that others may read is refused as ssh does, unless it belongs to another user
  /// (Errc::denied); a public key where the private one is expected only names a key that the agent holds,
  /// and so does the file of a security key, which holds none.
  [[nodiscard]] static Result<IdentityFile> load(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }
  /// None: encrypted in a format that does not show it, and there is no .pub file.
  [[nodiscard]] const std::optional<crypto::PublicKey>& public_key() const { return public_key_; }
  [[nodiscard]] bool has_private_key() const { return !text_.empty(); }
  /// The same path with the same content.
  [[nodiscard]] bool is_same_file(const IdentityFile& other) const;

  /// The key itself. Errc::needs_passphrase if it is encrypted and none was given, Errc::wrong_passphrase.
  [[nodiscard]] Result<crypto::PrivateKey> unlock(const SecretBytes* passphrase = nullptr);

  bool told_locked = false;       ///< that nobody can be asked for its passphrase: once is enough, too
  bool told_unusable = false;     ///< why it makes no signatures, which no passphrase changes
  bool offered_to_agent = false;  ///< AddKeysToAgent: once is enough, whatever the answer was

 private:
  std::string path_;
  SecretBytes text_;
  std::optional<crypto::PublicKey> public_key_;
  std::optional<crypto::PrivateKey> key_;
};

}  // namespace culvert::tunnel
