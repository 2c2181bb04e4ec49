// SPDX-License-Identifier: Apache-2.0
// The options in front of a key in authorized_keys, and the limits in a user's certificate. What they mean is
// what they mean to OpenSSH, as far as it concerns port forwarding.
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

namespace culvert::files {

inline constexpr std::size_t kMaxPermits = 4096;  ///< of each kind, of one key; as in OpenSSH

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

/// Local time to UTC: given a date and time of the system's zone, counted as if they were UTC.
using LocalToUtc = std::function<UnixSeconds(UnixSeconds)>;

/// "restrict,permitopen=\"db:5432\"". Options that concern shells are read and change nothing; an option that
/// is not known is Errc::malformed, as is any other mistake.
[[nodiscard]] Result<KeyOptions> parse_key_options(std::string_view text, const LocalToUtc& local_to_utc);

/// May somebody at `source` log in by a key with these options at `now`? Errc::denied with the reason. Names
/// in `from` never match: addresses are not resolved to names (sshd's "UseDNS no", which is its default). A
/// list that is malformed lets nobody in.
[[nodiscard]] Result<void> check_use(const KeyOptions& options, const IpAddress& source, UnixSeconds now);

/// The options of the authority's line with the limits of the certificate on top. Both hold: what either
/// forbids is forbidden. Errc::denied: a critical option is not known, or malformed, or the certificate's
/// command is another than the line's. Without permit-port-forwarding in the certificate there is none.
/// `expiry` is no later than the certificate's end. Whose certificate it is and whether it is good already
/// (check_validity) is not looked at.
[[nodiscard]] Result<KeyOptions> merged(const KeyOptions& options, const crypto::Certificate& certificate);

}  // namespace culvert::files
