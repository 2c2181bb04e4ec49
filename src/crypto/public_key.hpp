// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert::crypto {

/// A public key in SSH's form: ssh-ed25519 (RFC 8709), ecdsa-sha2-nistp256/384/521 (RFC 5656), ssh-rsa (RFC
/// 4253, 8332; 2048 to 16384 bits), and security keys (sk-ssh-ed25519@openssh.com,
/// sk-ecdsa-sha2-nistp256@openssh.com; PROTOCOL.u2f). Cheap to copy (shared, immutable); any thread.
class PublicKey {
 public:
  /// `blob`: the key as RFC 4253 section 6.6 encodes it. Errc::malformed, or Errc::unsupported for other
  /// types and sizes.
  [[nodiscard]] static Result<PublicKey> parse(ByteView blob);

  /// "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", ...
  [[nodiscard]] const std::string& type() const;
  [[nodiscard]] ByteView blob() const;
  /// Size in bits, as ssh-keygen -l shows it.
  [[nodiscard]] unsigned bits() const;
  /// "SHA256:..." as ssh shows it.
  [[nodiscard]] std::string fingerprint() const;
  /// "ED25519", "ECDSA", "RSA", "ED25519-SK": how ssh calls the type in its questions.
  [[nodiscard]] std::string_view short_type() const;
  /// "ED25519 SHA256:...": how messages name a key.
  [[nodiscard]] std::string description() const;
  /// It lives in a hardware token: the private half is in no file, an agent signs with it.
  [[nodiscard]] bool is_security_key() const;

  /// Checks a signature blob (string algorithm, string signature) made over `message` by `algorithm`
  /// ("rsa-sha2-512", "ssh-ed25519", ...): Errc::verification if it does not fit, or names another algorithm.
  /// "ssh-rsa" (SHA-1) never fits. Of a security key the signature alone is checked: whether the token was
  /// touched, and its counter, are not looked at.
  [[nodiscard]] Result<void> verify(std::string_view algorithm, ByteView message, ByteView signature) const;

  [[nodiscard]] bool operator==(const PublicKey& other) const;

  struct State;
  explicit PublicKey(std::shared_ptr<const State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<const State> state_;
};

/// The signature algorithms a key of this type can make, best first: {"rsa-sha2-512", "rsa-sha2-256"} for
/// "ssh-rsa", the type itself for the others, none for an unknown type.
[[nodiscard]] std::vector<std::string_view> signature_algorithms(std::string_view key_type);

/// The key type behind a signature algorithm: "ssh-rsa" for "rsa-sha2-512"; empty for an unknown one.
[[nodiscard]] std::string_view key_type_of(std::string_view algorithm);

}  // namespace culvert::crypto
