// SPDX-License-Identifier: Apache-2.0
// known_hosts files: the first line of the input is the host to look up, the rest is the file.
#include "files/known_hosts.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "crypto/certificate.hpp"
#include "crypto/private_key.hpp"

using namespace culvert;

namespace {

class FixedRandom final : public crypto::Random {
 public:
  void fill(MutableBytes out) override { std::ranges::fill(out, std::uint8_t{7}); }
};

const crypto::PublicKey& test_key() {
  static const auto key = crypto::parse_public_key_line(
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDbVLPcb3L87elX9trSnOky+vWqSXSTu1WPgVi9fgY1A");
  return *key;
}

const crypto::Certificate& test_certificate() {
  static const auto certificate = crypto::parse_certificate_line(
      "ssh-ed25519-cert-v01@openssh.com "
      "AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIOn3g3Bpq8nKEa+Ri564bUvfjWBP8PoMSSkeuPTRb53w"
      "AAAAIF5vJbu9/oqwWJg/O43lJsruwFRsiLI3FtFD14eEqBlSAAAAAAAAAAcAAAACAAAAB2hvc3QgaWQAAAAfAAAAD3dlYi5l"
      "eGFtcGxlLm9yZwAAAAgxMC4wLjAuMQAAAABpVbkAAAAAAGs27IAAAAAAAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAA"
      "ICXN2/dKXj57Y7aPLRpKuqvnsa4UYB/vWrUR46/khXGAAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEBGTaq1yaxDlEAO572WTIbs"
      "BqDdwxt64sUur0IlT1V0ZB/34z7Db4jdGzUUER4zt2sluBQJMsU8KQqQWKWKzVIB");
  return *certificate;
}

void look_up(std::string_view host, std::uint16_t port, const std::string& text) {
  files::KnownHosts hosts;
  if (!hosts.add("file", text)) std::abort();
  const auto before = hosts.lookup(host, port, test_key()).status;
  (void)hosts.key_types(host, port);
  const auto by_authority = hosts.lookup(host, port, test_certificate()).status;
  if (by_authority == files::HostKeyVerdict::Status::known && !hosts.has_authority(host, port)) std::abort();
  (void)hosts.bad_lines_of(host, port);

  // A key that was learned must be found, unless it is revoked.
  FixedRandom random;
  for (const bool hashed : {false, true}) {
    const files::HostName name{host, port};
    const auto line = files::format_known_hosts({&name, 1}, test_key(), hashed, random);
    if (!line) continue;
    files::KnownHosts learned = hosts;
    if (!learned.add("learned", *line) || learned.bad_lines().size() != hosts.bad_lines().size())
      std::abort();
    using enum files::HostKeyVerdict::Status;
    if (learned.lookup(host, port, test_key()).status != (before == revoked ? revoked : known)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = as_text(ByteView(data, size));
  const std::string_view host = input.substr(0, input.find('\n'));
  const std::string text(input.substr(std::min(host.size() + 1, input.size())));
  look_up(host, size % 2 == 0 ? 22 : 2222, text);
  return 0;
}
