// SPDX-License-Identifier: Apache-2.0
// The names that KEXINIT and public key authentication use for "a key of this form, signing like that", with
// OpenSSH's certificates (PROTOCOL.certkeys) and security keys (PROTOCOL.u2f).
#pragma once

#include <span>
#include <string_view>

namespace culvert::crypto {

/// For servers' keys: certificates, then plain keys, each best first. No security keys: they are for people.
[[nodiscard]] std::span<const std::string_view> host_key_algorithms();
/// For our own keys; security keys sign through an agent.
[[nodiscard]] std::span<const std::string_view> user_key_algorithms();
/// What an authority may sign certificates with.
[[nodiscard]] std::span<const std::string_view> authority_algorithms();

/// How a signature under this name calls itself: "rsa-sha2-512" for "rsa-sha2-512-cert-v01@openssh.com", the
/// name itself for one without a certificate; empty for an unknown name.
[[nodiscard]] std::string_view signature_of(std::string_view algorithm);

[[nodiscard]] bool is_certificate_algorithm(std::string_view algorithm);

/// "ssh-rsa" for "ssh-rsa-cert-v01@openssh.com"; empty for what is no type of a certificate that we support.
[[nodiscard]] std::string_view certified_key_type(std::string_view certificate_type);

}  // namespace culvert::crypto
