// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/transport/shown_key.hpp"

#include <algorithm>

#include "crypto/key_algorithms.hpp"

namespace culvert::ssh {

Result<ShownKey> read_shown_key(ByteView blob, std::string_view algorithm) {
  if (!crypto::is_certificate_algorithm(algorithm))
    return ShownKey{TRY(crypto::PublicKey::parse(blob)), std::nullopt};
  auto certificate = crypto::Certificate::parse(blob);
  if (!certificate && certificate.error().code == Errc::verification) {
    auto key = TRY(crypto::PublicKey::parse(TRY(crypto::certified_key_blob(blob))));
    return ShownKey{std::move(key), std::nullopt, std::move(certificate).error()};
  }
  if (!certificate) return std::unexpected(std::move(certificate).error());
  auto key = certificate->key();
  return ShownKey{std::move(key), *std::move(certificate)};
}

std::optional<HostIdentity> find_host_identity(std::string_view algorithm,
                                               std::span<const crypto::PublicKey> keys,
                                               std::span<const crypto::Certificate> certificates) {
  const std::string_view type = crypto::key_type_of(crypto::signature_of(algorithm));
  if (!crypto::is_certificate_algorithm(algorithm)) {
    const auto key = std::ranges::find(keys, type, &crypto::PublicKey::type);
    if (key == keys.end()) return std::nullopt;
    return HostIdentity{&*key, key->blob()};
  }
  for (const crypto::Certificate& certificate : certificates) {
    if (certificate.kind() != crypto::Certificate::Kind::host || certificate.key().type() != type) continue;
    const auto key = std::ranges::find(keys, certificate.key());
    if (key != keys.end()) return HostIdentity{&*key, certificate.blob()};
  }
  return std::nullopt;
}

}  // namespace culvert::ssh
