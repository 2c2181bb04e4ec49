// SPDX-License-Identifier: Apache-2.0
// The file of RevokedHostKeys (ssh_config(5)) and of RevokedKeys (sshd_config(5)): keys that are refused
// whatever else is known of them.
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/public_key.hpp"
#include "files/config_file.hpp"
#include "files/key_revocation_list.hpp"

namespace culvert::files {

inline constexpr std::size_t kMaxRevokedKeysSize = 16u << 20;  ///< bytes of the file

/// Immutable; any thread.
class RevokedKeys {
 public:
  /// A key revocation list, or text: a public key a line ("type base64 comment"; a certificate stands for the
  /// key in it), blank lines, and comments behind '#'. All of it is understood or it is an error, as in ssh:
  /// what was not understood could be the key that is asked for. The message of an error names the line.
  [[nodiscard]] static Result<RevokedKeys> parse(std::string content);

  [[nodiscard]] bool revokes(const crypto::PublicKey& key) const;
  /// Its key, its authority's key, or the certificate itself.
  [[nodiscard]] bool revokes(const crypto::Certificate& certificate) const;

 private:
  using Blobs = std::vector<Bytes>;

  explicit RevokedKeys(std::variant<KeyRevocationList, Blobs> list) : list_(std::move(list)) {}

  std::variant<KeyRevocationList, Blobs> list_;
};

/// Messages name the path. The errors are those of read_config_file() and of parse(). Blocks; the file is
/// small.
[[nodiscard]] Result<RevokedKeys> read_revoked_keys(const std::string& path,
                                                    OwnerCheck check = OwnerCheck::skip,
                                                    const FileOpener& open = open_for_reading);

}  // namespace culvert::files
