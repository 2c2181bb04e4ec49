// SPDX-License-Identifier: Apache-2.0
// Certificates: the input is a blob. What the authority signed is rarely right in a made-up one, so a plain
// key's blob is taken out of it too.
#include "crypto/certificate.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "crypto/base64.hpp"

using namespace culvert;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  (void)crypto::parse_certificate_line(as_text(input));
  const auto certificate = crypto::Certificate::parse(input);
  if (!certificate) return 0;
  if (certificate->principals().size() > crypto::kMaxPrincipals) std::abort();
  const auto line = certificate->type() + " " + crypto::base64_encode(certificate->blob());
  const auto again = crypto::parse_certificate_line(line);
  if (!again || !(*again == *certificate) || !(again->key() == certificate->key())) std::abort();
  const std::vector<std::string> algorithms = {"ssh-ed25519", "rsa-sha2-512"};
  const auto good =
      crypto::check_host_certificate(*certificate, "web.example.org", certificate->valid_after(), algorithms);
  if (good && (certificate->kind() != crypto::Certificate::Kind::host || certificate->principals().empty()))
    std::abort();
  return 0;
}
