// SPDX-License-Identifier: Apache-2.0
#include "crypto/openssh_key_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/text.hpp"
#include "base/wire.hpp"
#include "crypto/base64.hpp"
#include "crypto/bcrypt_pbkdf.hpp"
#include "crypto/openssh_key_cipher.hpp"
#include "crypto/private_key_parts.hpp"

namespace culvert::crypto {
namespace {

constexpr std::string_view kBegin = "-----BEGIN OPENSSH PRIVATE KEY-----";
constexpr std::string_view kEnd = "-----END OPENSSH PRIVATE KEY-----";
constexpr std::string_view kMagic{"openssh-key-v1\0", 15};
constexpr std::size_t kPlainBlockSize = 8;

/// The file's outer layer. Views point into the decoded text.
struct Envelope {
  const KeyFileCipher* cipher = nullptr;  ///< null: not encrypted
  ByteView salt;
  std::uint32_t rounds = 0;
  ByteView public_blob;
  ByteView section;  ///< the private part, encrypted or not
  ByteView tag;
};

Result<SecretBytes> decode_text(std::string_view text) {
  const std::size_t begin = text.find(kBegin);
  const std::size_t end = text.find(kEnd);
  if (begin == text.npos || end == text.npos || end < begin) {
    return fail(Errc::malformed, "private key ends too early: its END line is missing");
  }
  const std::string_view body = text.substr(begin + kBegin.size(), end - begin - kBegin.size());
  SecretBytes digits(body.size());
  std::size_t count = 0;
  for (const char c : body) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
    digits.data()[count++] = static_cast<std::uint8_t>(c);
  }
  auto decoded = base64_decode(digits.text().substr(0, count));
  if (!decoded) return fail(Errc::malformed, "private key is not valid base64");
  SecretBytes bytes{ByteView(*decoded)};
  wipe(*decoded);
  return bytes;
}

Result<void> read_kdf(Envelope& envelope, std::string_view cipher, std::string_view kdf, ByteView options) {
  if (cipher == "none" && kdf == "none") {
    if (!options.empty())
      return fail(Errc::malformed, "unencrypted private key has parameters of an encryption");
    return {};
  }
  envelope.cipher = find_key_file_cipher(cipher);
  if (envelope.cipher == nullptr) {
    return fail(Errc::unsupported, fmt::format("private key is encrypted with \"{}\", which is not supported",
                                               printable(cipher, 64)));
  }
  if (kdf != "bcrypt") {
    return fail(Errc::unsupported,
                fmt::format("private key is encrypted by a key derivation \"{}\", which is not supported",
                            printable(kdf, 64)));
  }
  Reader reader(options);
  envelope.salt = TRY(reader.string());
  envelope.rounds = TRY(reader.u32());
  TRY(reader.end());
  if (envelope.salt.empty() || envelope.rounds == 0) {
    return fail(Errc::malformed, "private key has impossible parameters of its encryption");
  }
  return {};
}

Result<Envelope> parse_envelope(ByteView bytes) {
  Reader reader(bytes);
  const auto magic = reader.bytes(kMagic.size());
  if (!magic || as_text(*magic) != kMagic)
    return fail(Errc::malformed, "private key is not in OpenSSH's format");
  Envelope envelope;
  const std::string_view cipher = TRY(reader.text());
  const std::string_view kdf = TRY(reader.text());
  const ByteView options = TRY(reader.string());
  const std::uint32_t count = TRY(reader.u32());
  if (count != 1) return fail(Errc::unsupported, "private key file does not hold exactly one key");
  envelope.public_blob = TRY(reader.string());
  envelope.section = TRY(reader.string());
  TRY(read_kdf(envelope, cipher, kdf, options));
  if (envelope.cipher != nullptr) envelope.tag = TRY(reader.bytes(envelope.cipher->tag_size));
  TRY(reader.end());
  const std::size_t block_size = envelope.cipher == nullptr ? kPlainBlockSize : envelope.cipher->block_size;
  if (envelope.section.empty() || envelope.section.size() % block_size != 0) {
    return fail(Errc::malformed, "private key has a length that its encryption cannot have");
  }
  return envelope;
}

Result<SecretBytes> open_section(const Envelope& envelope, const SecretBytes* passphrase,
                                 std::uint32_t max_rounds) {
  if (envelope.cipher == nullptr) return SecretBytes(envelope.section);
  if (passphrase == nullptr)
    return fail(Errc::needs_passphrase, "private key is encrypted: a passphrase is needed");
  if (passphrase->empty())
    return fail(Errc::wrong_passphrase, "wrong passphrase");  // ssh-keygen refuses to set it
  if (envelope.rounds > max_rounds) {
    return fail(Errc::limit, fmt::format("private key asks for {} rounds of bcrypt_pbkdf (at most {})",
                                         envelope.rounds, max_rounds));
  }
  // Stretched to the cipher's key and IV.
  const SecretBytes secret = TRY(bcrypt_pbkdf(*passphrase, envelope.salt, envelope.rounds,
                                              envelope.cipher->key_size + envelope.cipher->iv_size));
  return decrypt_key_section(*envelope.cipher, secret, envelope.section, envelope.tag);
}

Result<PrivateKey> read_ed25519(Reader& reader) {
  const ByteView point = TRY(reader.string());
  const ByteView pair = TRY(reader.string());
  std::string comment(TRY(reader.text()));
  if (pair.size() != 2 * kEd25519KeySize || !std::ranges::equal(pair.subspan(kEd25519KeySize), point)) {
    return fail(Errc::malformed, "ed25519 private key is damaged");
  }
  return make_ed25519_key(pair.first(kEd25519KeySize), std::move(comment));
}

Result<PrivateKey> read_ecdsa(const Curve& curve, Reader& reader) {
  if (TRY(reader.text()) != curve.name)
    return fail(Errc::malformed, "ECDSA key names another curve than its type");
  const ByteView point = TRY(reader.string());
  const ByteView scalar = TRY(reader.mpint());
  return make_ecdsa_key(curve, point, scalar, std::string(TRY(reader.text())));
}

Result<PrivateKey> read_rsa(Reader& reader) {
  RsaNumbers numbers;
  for (SecretBytes* number : {&numbers.n, &numbers.e, &numbers.d, &numbers.qinv, &numbers.p, &numbers.q}) {
    *number = SecretBytes(TRY(reader.mpint()));
  }
  return make_rsa_key(numbers, std::string(TRY(reader.text())));
}

Result<PrivateKey> read_key(Reader& reader) {
  const std::string_view type = TRY(reader.text());
  if (type == kEd25519) return read_ed25519(reader);
  if (type == kRsa) return read_rsa(reader);
  if (const Curve* curve = find_curve(type)) return read_ecdsa(*curve, reader);
  return fail(Errc::unsupported, fmt::format("key type \"{}\" is not supported", printable(type, 64)));
}

Result<void> check_padding(ByteView padding, std::size_t block_size) {
  if (padding.size() >= block_size) return fail(Errc::malformed, "private key has too much padding");
  for (std::size_t i = 0; i < padding.size(); ++i) {
    if (padding[i] != i + 1) return fail(Errc::malformed, "private key has wrong padding");
  }
  return {};
}

Result<PrivateKey> read_section(const Envelope& envelope, ByteView section) {
  Reader reader(section);
  const std::uint32_t check = TRY(reader.u32());
  if (check != TRY(reader.u32())) {
    if (envelope.cipher != nullptr) return fail(Errc::wrong_passphrase, "wrong passphrase");
    return fail(Errc::malformed, "private key is damaged");
  }
  PrivateKey key = TRY(read_key(reader));
  TRY(check_padding(reader.rest(),
                    envelope.cipher == nullptr ? kPlainBlockSize : envelope.cipher->block_size));
  if (!std::ranges::equal(key.public_key().blob(), envelope.public_blob)) {
    return fail(Errc::malformed, "private key file holds a public key that does not belong to it");
  }
  return key;
}

}  // namespace

bool is_openssh_private_key(std::string_view text) {
  const std::size_t begin = text.find("-----BEGIN ");
  return begin != text.npos && text.substr(begin).starts_with(kBegin);
}

Result<PrivateKey> parse_openssh_private_key(std::string_view text, const SecretBytes* passphrase,
                                             std::uint32_t max_rounds) {
  const SecretBytes bytes = TRY(decode_text(text));
  const Envelope envelope = TRY(parse_envelope(bytes));
  const SecretBytes section = TRY(open_section(envelope, passphrase, max_rounds));
  return read_section(envelope, section);
}

Result<PublicKey> parse_openssh_public_half(std::string_view text) {
  const SecretBytes bytes = TRY(decode_text(text));
  return PublicKey::parse(TRY(parse_envelope(bytes)).public_blob);
}

}  // namespace culvert::crypto
