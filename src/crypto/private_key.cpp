// SPDX-License-Identifier: Apache-2.0
#include "crypto/private_key.hpp"

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "crypto/key_handles.hpp"
#include "crypto/key_line.hpp"
#include "crypto/openssh_key_file.hpp"
#include "crypto/pem_key_file.hpp"
#include "crypto/private_key_parts.hpp"

namespace culvert::crypto {
namespace {

constexpr std::size_t kMaxFileSize = 64 * 1024;

/// DER to RFC 5656 section 3.1.2.
Bytes ecdsa_blob_from_der(ByteView der) {
  const std::uint8_t* at = der.data();
  const EcdsaSignature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  CULVERT_ASSERT(signature != nullptr);
  Bytes blob;
  Writer writer(blob);
  for (const BIGNUM* number : {ECDSA_SIG_get0_r(signature.get()), ECDSA_SIG_get0_s(signature.get())}) {
    Bytes magnitude(static_cast<std::size_t>(BN_num_bytes(number)));
    BN_bn2bin(number, magnitude.data());
    writer.mpint(magnitude);
  }
  return blob;
}

/// What is wrong with a file that holds no private key in a format we read.
std::unexpected<Error> not_a_private_key(std::string_view text) {
  if (text.starts_with("PuTTY-User-Key-File")) {
    return fail(Errc::unsupported, "key is in PuTTY's format; convert it with 'puttygen -O private-openssh'");
  }
  if (parse_public_key_line(text.substr(0, text.find('\n')))) {
    return fail(Errc::malformed, "this is a public key, not a private key");
  }
  return fail(Errc::malformed, "no private key in it");
}

Result<void> check_size(std::string_view text) {
  if (text.size() > kMaxFileSize) return fail(Errc::limit, "private key file is larger than 64 KiB");
  return {};
}

}  // namespace

const PublicKey& PrivateKey::public_key() const { return state_->public_key; }
const std::string& PrivateKey::comment() const { return state_->comment; }

Result<Bytes> PrivateKey::sign(std::string_view algorithm, ByteView message) const {
  const std::string& type = state_->public_key.type();
  if (key_type_of(algorithm) != type) {
    return fail(Errc::unsupported,
                fmt::format("a key of type {} makes no {} signatures", type, printable(algorithm, 64)));
  }
  const MdContext context(EVP_MD_CTX_new());
  CULVERT_ASSERT(context != nullptr);
  std::size_t size = 0;
  if (EVP_DigestSignInit_ex(context.get(), nullptr, digest_name_of(algorithm), nullptr, nullptr,
                            state_->key.get(), nullptr) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1) {
    return fail(Errc::unsupported, "the key cannot be used for signing");
  }
  Bytes raw(size);
  if (EVP_DigestSign(context.get(), raw.data(), &size, message.data(), message.size()) != 1) {
    return fail(Errc::unsupported, "the key cannot be used for signing");
  }
  raw.resize(size);
  if (find_curve(type) != nullptr) raw = ecdsa_blob_from_der(raw);
  Bytes blob;
  Writer(blob).text(algorithm).string(raw);
  return blob;
}

PrivateKey PrivateKey::generate_ed25519() {
  const Pkey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  CULVERT_ASSERT(key != nullptr);
  SecretBytes seed(kEd25519KeySize);
  std::size_t size = seed.size();
  CULVERT_ASSERT(EVP_PKEY_get_raw_private_key(key.get(), seed.data(), &size) == 1 && size == seed.size());
  auto made = make_ed25519_key(seed, {});
  CULVERT_ASSERT(made.has_value());
  return *std::move(made);
}

Result<PrivateKey> parse_private_key(std::string_view text, const SecretBytes* passphrase) {
  TRY(check_size(text));
  if (is_openssh_private_key(text)) return parse_openssh_private_key(text, passphrase);
  if (is_pem_private_key(text)) return parse_pem_private_key(text, passphrase);
  return not_a_private_key(text);
}

Result<PublicKey> parse_public_half(std::string_view private_key_text) {
  TRY(check_size(private_key_text));
  if (is_openssh_private_key(private_key_text)) return parse_openssh_public_half(private_key_text);
  return TRY(parse_private_key(private_key_text)).public_key();
}

Result<PublicKey> parse_public_key_line(std::string_view line) {
  return PublicKey::parse(TRY(split_key_line(line)).blob);
}

}  // namespace culvert::crypto
