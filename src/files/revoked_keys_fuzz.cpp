// SPDX-License-Identifier: Apache-2.0
// Files of RevokedHostKeys: key revocation lists, and text.
#include "files/revoked_keys.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/wire.hpp"
#include "crypto/certificate_fixtures_test.hpp"
#include "crypto/private_key.hpp"

using namespace culvert;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto certificate = *crypto::parse_certificate_line(crypto::kHostEd25519);
  const std::string content(as_text(ByteView(data, size)));
  const auto list = files::RevokedKeys::parse(content);
  if (!list) {
    if (list.error().message.empty()) std::abort();
    return 0;
  }
  if (list->revokes(certificate.key()) && !list->revokes(certificate)) std::abort();
  if (!files::KeyRevocationList::is_one(content)) return 0;
  // With one more section, and no signature in front of it, the key is revoked for certain.
  Bytes keys, section;
  Writer(keys).string(certificate.key().blob());
  Writer(section).byte(2).string(keys);
  const auto more = files::RevokedKeys::parse(content + std::string(as_text(section)));
  if (more && !more->revokes(certificate)) std::abort();
  return 0;
}
