// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/public_key.hpp"

namespace culvert::crypto {

inline constexpr std::size_t kMaxCertificateSize = 128u << 10;  ///< bytes of a blob
inline constexpr std::size_t kMaxPrincipals = 256;              ///< names in one certificate, as in OpenSSH

/// An OpenSSH certificate (PROTOCOL.certkeys): an authority's word that a key belongs to a user or a host.
/// Whoever holds one knows that the authority signed it, and nothing else: whether the authority counts is
/// for the caller. Cheap to copy (shared, immutable); any thread.
class Certificate {
 public:
  enum class Kind : std::uint32_t { user = 1, host = 2 };

  /// Errc::malformed, Errc::limit, Errc::unsupported (other types, an authority that is a certificate
  /// itself), Errc::verification if the authority's signature does not fit (SHA-1 never does), or its key is
  /// none that counts.
  [[nodiscard]] static Result<Certificate> parse(ByteView blob);

  /// "ssh-ed25519-cert-v01@openssh.com", "ssh-rsa-cert-v01@openssh.com", ...
  [[nodiscard]] const std::string& type() const;
  [[nodiscard]] ByteView blob() const;
  [[nodiscard]] const PublicKey& key() const;        ///< what it certifies
  [[nodiscard]] const PublicKey& authority() const;  ///< who signed it
  /// What it was signed with: "rsa-sha2-512".
  [[nodiscard]] std::string_view signature_algorithm() const;
  [[nodiscard]] Kind kind() const;
  [[nodiscard]] std::uint64_t serial() const;
  [[nodiscard]] const std::string& key_id() const;  ///< free text of the authority: not printable yet
  /// User or host names, as they came. None: good for nobody (OpenSSH before 10.3: for everybody).
  [[nodiscard]] const std::vector<std::string>& principals() const;
  /// Seconds since 1970: good from the first, no longer from the second on.
  [[nodiscard]] std::uint64_t valid_after() const;
  [[nodiscard]] std::uint64_t valid_before() const;
  /// Names of the options that whoever does not know them must refuse.
  [[nodiscard]] const std::vector<std::string>& critical_options() const;
  /// What the first critical option of this name holds: as long as this certificate. None: there is none.
  [[nodiscard]] std::optional<ByteView> critical_option(std::string_view name) const;
  /// The same for the rights that the authority gives ("permit-port-forwarding"). Others than those that one
  /// knows count for nothing.
  [[nodiscard]] std::optional<ByteView> extension(std::string_view name) const;

  /// The same bytes.
  [[nodiscard]] bool operator==(const Certificate& other) const;

  struct State;
  explicit Certificate(std::shared_ptr<const State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<const State> state_;
};

/// Is this what a host called `host` (in lower case) may show at `now` (seconds since 1970)? `algorithms`:
/// what the authority may have signed with (CASignatureAlgorithms). Errc::verification with the reason, ready
/// to print: "it expired on 2026-01-31 12:00:00 UTC". The authority itself is not looked at.
[[nodiscard]] Result<void> check_host_certificate(const Certificate& certificate, std::string_view host,
                                                  std::uint64_t now, std::span<const std::string> algorithms);

/// Whether it is good at `now`: Errc::verification with the reason, as above.
[[nodiscard]] Result<void> check_validity(const Certificate& certificate, std::uint64_t now);

/// The blob of the plain key that a certificate is for. Nothing else of it is looked at, whether that key is
/// one that we use neither: for who refuses a key, or takes it without its certificate. Errc::malformed,
/// Errc::unsupported.
[[nodiscard]] Result<Bytes> certified_key_blob(ByteView certificate);

/// Reads one line "type base64 [comment]" as in a -cert.pub file.
[[nodiscard]] Result<Certificate> parse_certificate_line(std::string_view line);

}  // namespace culvert::crypto
