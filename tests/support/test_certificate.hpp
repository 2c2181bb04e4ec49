// SPDX-License-Identifier: Apache-2.0
// Certificates as ssh-keygen makes them (PROTOCOL.certkeys), for any key and by any authority.
#pragma once

#include <string>
#include <string_view>

#include "base/wire.hpp"
#include "crypto/certificate.hpp"
#include "tests/support/test_keys.hpp"

namespace culvert::test {

/// The blob of one for the ed25519 `key`, good at any time.
[[nodiscard]] inline Bytes certificate_blob(const crypto::PublicKey& key, crypto::Certificate::Kind kind,
                                            const crypto::PrivateKey& authority,
                                            std::string_view principal = "somebody") {
  Bytes principals, blob;
  Writer(principals).text(principal);
  Reader plain(key.blob());
  static_cast<void>(plain.text().value());
  Writer writer(blob);
  writer.text(key.type() + "-cert-v01@openssh.com").text("nonce").string(plain.string().value()).u64(1);
  writer.u32(static_cast<std::uint32_t>(kind)).text("key id").string(principals).u64(0).u64(UINT64_MAX);
  writer.text("").text("").text("").string(authority.public_key().blob());
  const Bytes signature = authority.sign("ssh-ed25519", blob).value();
  writer.string(signature);
  return blob;
}

[[nodiscard]] inline const crypto::PrivateKey& authority_key() {
  static const crypto::PrivateKey key = crypto::PrivateKey::generate_ed25519();
  return key;
}

[[nodiscard]] inline crypto::Certificate certificate_for(const crypto::PublicKey& key,
                                                         crypto::Certificate::Kind kind) {
  return crypto::Certificate::parse(certificate_blob(key, kind, authority_key())).value();
}

}  // namespace culvert::test
