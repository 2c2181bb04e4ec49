// SPDX-License-Identifier: Apache-2.0
// The authorized_keys format (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"): text in, keys and what each may do
// out. What a line means is what it means to OpenSSH, as far as it concerns port forwarding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "crypto/certificate.hpp"
#include "crypto/public_key.hpp"

namespace culvert::files {

inline constexpr std::size_t kMaxAuthorizedKeysSize = 1u << 20;   ///< bytes of one file
inline constexpr std::size_t kMaxAuthorizedKeysLine = 64u << 10;  ///< bytes of one line
inline constexpr std::size_t kMaxAuthorizedKeys = 8192;           ///< keys of one file
inline constexpr std::size_t kMaxPermits = 4096;                  ///< of each kind, of one key; as in OpenSSH

/// One permitopen or permitlisten.
struct Permit {
  std::string host;        ///< without brackets; "*": any. Of a permitlisten: a pattern
  std::uint16_t port = 0;  ///< 0: any ("*")

  [[nodiscard]] bool operator==(const Permit&) const = default;
};

/// What stands in front of a key. The values here are those of a key without options.
struct KeyOptions {
  bool is_authority = false;  ///< cert-authority: the key logs nobody in, but signs certificates
  /// Of an authority: one of these must be in the certificate. None: the user's name must be. No names:
  /// nobody.
  std::optional<std::vector<std::string>> principals;
  bool port_forwarding = true;  ///< of restrict, port-forwarding and no-port-forwarding the last one counts
  std::vector<Permit> permit_open, permit_listen;
  std::optional<std::string> from;            ///< pattern list of addresses, networks and names
  std::optional<std::string> source_address;  ///< of a certificate: list of networks
  std::optional<UnixSeconds> expiry;          ///< the last second in which the key is good
  std::optional<std::string> command;         ///< never run; kept because a certificate's must be the same

  [[nodiscard]] bool operator==(const KeyOptions&) const = default;
};

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

/// Local time to UTC: given a date and time of the system's zone, counted as if they were UTC.
using LocalToUtc = std::function<UnixSeconds(UnixSeconds)>;

/// A line that makes no sense is passed over, with a warning, and so are keys that we do not support (sk-*,
/// ssh-dss, short RSA, certificates). Errc::limit: the file is too large.
[[nodiscard]] Result<AuthorizedKeys> parse_authorized_keys(std::string_view text,
                                                           const LocalToUtc& local_to_utc);

/// May somebody at `source` log in by a key with these options at `now`? Errc::denied with the reason. Names
/// in `from` never match: addresses are not resolved to names (sshd's "UseDNS no", which is its default). A
/// list that is malformed lets nobody in.
[[nodiscard]] Result<void> check_use(const KeyOptions& options, const IpAddress& source, UnixSeconds now);

/// The options of the authority's line with the limits of the certificate on top. Both hold: what either
/// forbids is forbidden. Errc::denied: a critical option is not known, or malformed, or the certificate's
/// command is another than the line's. Without permit-port-forwarding in the certificate there is none.
/// Whose certificate it is and whether it is good now (check_validity) is not looked at.
[[nodiscard]] Result<KeyOptions> merged(const KeyOptions& options, const crypto::Certificate& certificate);

}  // namespace culvert::files
