// SPDX-License-Identifier: Apache-2.0
#include "crypto/key_algorithms.hpp"

#include <algorithm>
#include <array>

#include "crypto/key_types.hpp"

namespace culvert::crypto {
namespace {

struct CertificateName {
  std::string_view name;
  std::string_view plain;
};

// Algorithms, best first. For RSA the certificate's own type is another name, since its hash is chosen anew
// for each signature (RFC 8332).
constexpr std::array<CertificateName, 8> kCertificates = {{
    {"ssh-ed25519-cert-v01@openssh.com", kEd25519},
    {"ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256"},
    {"ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384"},
    {"ecdsa-sha2-nistp521-cert-v01@openssh.com", "ecdsa-sha2-nistp521"},
    {"sk-ssh-ed25519-cert-v01@openssh.com", kSkEd25519},
    {"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", kSkEcdsa},
    {"rsa-sha2-512-cert-v01@openssh.com", kRsaSha512},
    {"rsa-sha2-256-cert-v01@openssh.com", kRsaSha256},
}};
constexpr std::string_view kRsaCertificate = "ssh-rsa-cert-v01@openssh.com";

constexpr bool is_sk(std::string_view name) { return name.starts_with("sk-"); }

template <std::size_t N, class Keep>
constexpr std::array<std::string_view, N> names(Keep keep, bool with_certificates) {
  std::array<std::string_view, N> out{};
  std::size_t count = 0;
  if (with_certificates) {
    for (const auto& row : kCertificates) {
      if (keep(row.plain)) out.at(count++) = row.name;
    }
  }
  for (const auto& row : kCertificates) {
    if (keep(row.plain)) out.at(count++) = row.plain;
  }
  return out;
}

constexpr auto kHostKeys = names<12>([](std::string_view plain) { return !is_sk(plain); }, true);
constexpr auto kUserKeys = names<16>([](std::string_view) { return true; }, true);
constexpr auto kAuthorities = names<8>([](std::string_view) { return true; }, false);

}  // namespace

std::span<const std::string_view> host_key_algorithms() { return kHostKeys; }
std::span<const std::string_view> user_key_algorithms() { return kUserKeys; }
std::span<const std::string_view> authority_algorithms() { return kAuthorities; }

std::string_view signature_of(std::string_view algorithm) {
  for (const auto& row : kCertificates) {
    if (algorithm == row.name || algorithm == row.plain) return row.plain;
  }
  return {};
}

bool is_certificate_algorithm(std::string_view algorithm) {
  return std::ranges::find(kCertificates, algorithm, &CertificateName::name) != kCertificates.end();
}

std::string_view certified_key_type(std::string_view certificate_type) {
  if (certificate_type == kRsaCertificate) return kRsa;
  for (const auto& row : kCertificates) {
    if (certificate_type == row.name && !row.plain.starts_with("rsa-")) return row.plain;
  }
  return {};
}

}  // namespace culvert::crypto
