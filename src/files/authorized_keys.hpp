// SPDX-License-Identifier: Apache-2.0
// The authorized_keys format (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"): text in, keys and what each may do
// out. What a line means is what it means to OpenSSH, as far as it concerns port forwarding.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/public_key.hpp"
#include "files/key_options.hpp"

namespace culvert::files {

inline constexpr std::size_t kMaxAuthorizedKeysSize = 16u << 20;  ///< bytes of one file
inline constexpr std::size_t kMaxAuthorizedKeysLine = 64u << 10;  ///< bytes of one line
inline constexpr std::size_t kMaxAuthorizedKeys = 8192;           ///< keys of one file

struct AuthorizedKey {
  crypto::PublicKey key;
  std::string comment;  ///< not printable yet
  std::size_t line;     ///< from 1
  KeyOptions options;
};

struct LineWarning {
  std::size_t line;  ///< from 1
  std::string text;  ///< one line, printable: "unknown key option \"foo\""
};

struct AuthorizedKeys {
  std::vector<AuthorizedKey> keys;
  std::vector<LineWarning> warnings;  ///< lines that were passed over, and why: the first 100 of them

  /// The entries with this key, in the order of the lines: as in OpenSSH the first of them that check_use()
  /// takes is the one that counts. Pointers into `keys`.
  [[nodiscard]] std::vector<const AuthorizedKey*> with_key(const crypto::PublicKey& key) const;
  /// The same for the cert-authority lines of whoever signed this certificate, if they take its principals
  /// for `user`.
  [[nodiscard]] std::vector<const AuthorizedKey*> with_authority(const crypto::Certificate& certificate,
                                                                 std::string_view user) const;
};

/// A line that makes no sense is passed over, with a warning, and so are keys that we do not support (sk-*,
/// ssh-dss, short RSA, certificates). Errc::limit: the file is too large.
[[nodiscard]] Result<AuthorizedKeys> parse_authorized_keys(std::string_view text,
                                                           const LocalToUtc& local_to_utc);

}  // namespace culvert::files
