// SPDX-License-Identifier: Apache-2.0
// Public key blobs and signature blobs: the input is "string key, string algorithm, string signature,
// message".
#include <cstdint>
#include <cstdlib>

#include "base/wire.hpp"
#include "crypto/base64.hpp"
#include "crypto/private_key.hpp"
#include "crypto/public_key.hpp"

using namespace culvert;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  if (const auto key = crypto::PublicKey::parse(input)) {
    // A key that is accepted has this one form, and survives a round trip through a .pub line.
    const auto again = crypto::parse_public_key_line(key->type() + " " + crypto::base64_encode(key->blob()));
    if (!again || !(*again == *key) || again->fingerprint() != key->fingerprint()) std::abort();
  }
  (void)crypto::parse_public_key_line(as_text(input));
  if (const auto decoded = crypto::base64_decode(as_text(input))) {
    if (crypto::base64_encode(*decoded) != as_text(input)) std::abort();
  }

  Reader reader(input);
  const auto blob = reader.string();
  if (!blob) return 0;
  const auto algorithm = reader.text();
  if (!algorithm) return 0;
  const auto signature = reader.string();
  if (!signature) return 0;
  if (const auto key = crypto::PublicKey::parse(*blob))
    (void)key->verify(*algorithm, reader.rest(), *signature);
  return 0;
}
