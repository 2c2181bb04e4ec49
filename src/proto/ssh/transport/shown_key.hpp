// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/public_key.hpp"

namespace culvert::ssh {

/// A key as the peer shows it: a server in the key exchange, a user who logs in.
struct ShownKey {
  crypto::PublicKey key;
  std::optional<crypto::Certificate> certificate;  ///< of `key`
  std::optional<Error> fault = {};                 ///< why the certificate that came with it does not count
};

/// `algorithm` says whether `blob` is a certificate or a plain key; whether the key can sign like that is not
/// looked at. A certificate that nobody has signed who counts is passed over, and `fault` tells of it. Errors
/// as PublicKey::parse() and Certificate::parse() have them.
[[nodiscard]] Result<ShownKey> read_shown_key(ByteView blob, std::string_view algorithm);

/// What a server shows and signs with under one algorithm; points into what it was found in.
struct HostIdentity {
  const crypto::PublicKey* key;
  ByteView blob;  ///< of the key, or of its certificate
};

/// The first that fits `algorithm`; none if there is none. Only certificates for hosts, of one of `keys`,
/// fit.
[[nodiscard]] std::optional<HostIdentity> find_host_identity(
    std::string_view algorithm, std::span<const crypto::PublicKey> keys,
    std::span<const crypto::Certificate> certificates);

}  // namespace culvert::ssh
