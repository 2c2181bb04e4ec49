// SPDX-License-Identifier: Apache-2.0
// Private key files: as text, and with the armour of OpenSSH's format put around the input, so that the
// binary layer is reached at once. With a passphrase only few rounds of bcrypt_pbkdf are allowed, or each
// input would take seconds.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "crypto/base64.hpp"
#include "crypto/openssh_key_file.hpp"
#include "crypto/private_key.hpp"

using namespace culvert;

namespace {

constexpr std::uint32_t kRounds = 1;

void check(const Result<crypto::PrivateKey>& key) {
  if (!key) return;
  // What is accepted must be able to sign, and its public half must agree.
  const std::string_view algorithm = crypto::signature_algorithms(key->public_key().type()).front();
  const ByteView message = as_bytes("message");
  const auto signature = key->sign(algorithm, message);
  if (!signature || !key->public_key().verify(algorithm, message, *signature)) std::abort();
}

void parse(std::string_view text) {
  check(crypto::parse_private_key(text));
  (void)crypto::parse_public_half(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  parse(as_text(input));
  const std::string armoured = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + crypto::base64_encode(input) +
                               "\n-----END OPENSSH PRIVATE KEY-----\n";
  parse(armoured);
  const SecretBytes passphrase(std::string_view("correct horse"));
  check(crypto::parse_openssh_private_key(armoured, &passphrase, kRounds));
  return 0;
}
