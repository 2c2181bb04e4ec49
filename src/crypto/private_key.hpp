// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/public_key.hpp"

namespace culvert::crypto {

/// A key pair held in memory; wiped when the last copy goes. Cheap to copy; any thread.
class PrivateKey {
 public:
  [[nodiscard]] const PublicKey& public_key() const;
  /// A signature blob (string algorithm, string signature) over `message`. `algorithm` is one of
  /// signature_algorithms(public_key().type()); Errc::unsupported otherwise.
  [[nodiscard]] Result<Bytes> sign(std::string_view algorithm, ByteView message) const;
  /// The comment that OpenSSH's file format carries; empty otherwise.
  [[nodiscard]] const std::string& comment() const;

  /// A fresh ed25519 pair.
  [[nodiscard]] static PrivateKey generate_ed25519();

  struct State;
  explicit PrivateKey(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  [[nodiscard]] const State& state() const { return *state_; }  ///< inside crypto only

 private:
  std::shared_ptr<const State> state_;
};

/// Reads a private key file's text: OpenSSH's format ("BEGIN OPENSSH PRIVATE KEY", encrypted with
/// bcrypt_pbkdf too), or PEM (PKCS#1, SEC1, PKCS#8, encrypted ones too). At most 64 KiB.
/// Errc::needs_passphrase if it is encrypted and none is given, Errc::wrong_passphrase, Errc::malformed,
/// Errc::unsupported.
[[nodiscard]] Result<PrivateKey> parse_private_key(std::string_view text,
                                                   const SecretBytes* passphrase = nullptr);

/// The public half, where the file shows it without a passphrase (OpenSSH's format); Errc::needs_passphrase
/// otherwise.
[[nodiscard]] Result<PublicKey> parse_public_half(std::string_view private_key_text);

/// The key as OpenSSH's agent is given it: its type, then its numbers (draft-ietf-sshm-ssh-agent, section
/// 3.2).
[[nodiscard]] SecretBytes encode_private_key(const PrivateKey& key);

/// The text of a key file in OpenSSH's format, without a passphrase (PROTOCOL.key of OpenSSH).
[[nodiscard]] SecretBytes write_private_key(const PrivateKey& key);

/// Reads one line "type base64 [comment]" as in a .pub file.
[[nodiscard]] Result<PublicKey> parse_public_key_line(std::string_view line);

}  // namespace culvert::crypto
