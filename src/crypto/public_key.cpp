// SPDX-License-Identifier: Apache-2.0
#include "crypto/public_key.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <openssl/core_names.h>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "crypto/base64.hpp"
#include "crypto/hash.hpp"
#include "crypto/key_handles.hpp"
#include "crypto/key_types.hpp"

namespace culvert::crypto {

struct PublicKey::State {
  std::string type;
  Bytes blob;
  unsigned bits;
  Pkey key;
  std::string application;  // of a security key
};

namespace {

struct Parsed {
  unsigned bits;
  Pkey key;
};

Pkey make_key(const char* openssl_type, OSSL_PARAM_BLD* builder) {
  const Params parts(OSSL_PARAM_BLD_to_param(builder));
  return key_of_parts(openssl_type, EVP_PKEY_PUBLIC_KEY, parts.get());
}

Result<Parsed> parse_ed25519(Reader& reader) {
  const ByteView point = TRY(reader.string());
  if (point.size() != kEd25519KeySize) return fail(Errc::malformed, "ed25519 key is not 32 bytes long");
  Pkey key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, point.data(), point.size()));
  if (key == nullptr) return fail(Errc::malformed, "ed25519 key is not valid");
  return Parsed{256, std::move(key)};
}

Result<Parsed> parse_ecdsa(const Curve& curve, Reader& reader) {
  if (TRY(reader.text()) != curve.name)
    return fail(Errc::malformed, "ECDSA key names another curve than its type");
  const ByteView point = TRY(reader.string());
  // RFC 5656 section 3.1 allows compressed points too, but nobody sends them and OpenSSH refuses them.
  if (point.size() != 1 + 2 * curve.field_size || point[0] != POINT_CONVERSION_UNCOMPRESSED) {
    return fail(Errc::malformed, "ECDSA key is not an uncompressed point");
  }
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  CULVERT_ASSERT(builder != nullptr);
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.openssl_name, 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  Pkey key = make_key("EC", builder.get());  // refuses a point that is not on the curve; the cofactor is 1
  if (key == nullptr) return fail(Errc::malformed, "ECDSA key is not a point of its curve");
  return Parsed{curve.bits, std::move(key)};
}

Result<Parsed> parse_rsa(Reader& reader) {
  const ByteView exponent = TRY(reader.mpint());
  const ByteView modulus = TRY(reader.mpint());
  const SecretNumber e(BN_bin2bn(exponent.data(), static_cast<int>(exponent.size()), nullptr));
  const SecretNumber n(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr));
  CULVERT_ASSERT(e != nullptr && n != nullptr);
  const int bits = BN_num_bits(n.get());
  if (bits < kMinRsaBits) {
    return fail(Errc::unsupported,
                fmt::format("RSA key of {} bits is too short (at least {})", bits, kMinRsaBits));
  }
  if (bits > kMaxRsaBits || exponent.size() > kMaxRsaExponentSize) {
    return fail(Errc::unsupported, "RSA key is too large");
  }
  if (BN_is_odd(n.get()) == 0 || BN_is_odd(e.get()) == 0 || BN_is_one(e.get()) == 1) {
    return fail(Errc::malformed, "RSA key is not valid");
  }
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  CULVERT_ASSERT(builder != nullptr);
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  Pkey key = make_key("RSA", builder.get());
  if (key == nullptr) return fail(Errc::malformed, "RSA key is not valid");
  return Parsed{static_cast<unsigned>(bits), std::move(key)};
}

/// RFC 4251 section 5: numbers have no leading zero bytes that they don't need. Enforced for keys, so that a
/// key has one blob only and comparing blobs compares keys (known_hosts, @revoked).
Result<void> check_rsa_is_minimal(ByteView blob) {
  Reader reader(blob);
  Bytes minimal;
  Writer writer(minimal);
  writer.string(TRY(reader.string()));
  writer.mpint(TRY(reader.mpint()));
  writer.mpint(TRY(reader.mpint()));
  if (!std::ranges::equal(minimal, blob))
    return fail(Errc::malformed, "RSA key has numbers with needless zeros");
  return {};
}

Result<Parsed> parse_content(std::string_view key_type, Reader& reader) {
  const std::string_view type = base_type(key_type);
  if (type == kEd25519) return parse_ed25519(reader);
  if (type == kRsa) return parse_rsa(reader);
  if (const Curve* curve = find_curve(type)) return parse_ecdsa(*curve, reader);
  return fail(Errc::unsupported, fmt::format("key type \"{}\" is not supported", printable(type, 64)));
}

struct SignatureParts {
  std::string_view algorithm;
  ByteView raw;
  std::uint8_t flags = 0;     // of a security key: what the token saw
  std::uint32_t counter = 0;  // how often it has signed
};

Result<SignatureParts> split_signature(ByteView signature, bool by_security_key) {
  Reader reader(signature);
  SignatureParts parts;
  parts.algorithm = TRY(reader.text());
  parts.raw = TRY(reader.string());
  if (by_security_key) {
    parts.flags = TRY(reader.byte());
    parts.counter = TRY(reader.u32());
  }
  TRY(reader.end());
  return parts;
}

/// What a token signs instead of the message (PROTOCOL.u2f).
Bytes token_message(std::string_view application, const SignatureParts& parts, ByteView message) {
  Bytes out;
  Writer(out)
      .bytes(hash(HashId::sha256, as_bytes(application)))
      .byte(parts.flags)
      .u32(parts.counter)
      .bytes(hash(HashId::sha256, message));
  return out;
}

/// RFC 5656 section 3.1.2 to the DER form that OpenSSL takes. Empty if it cannot fit.
Bytes der_from_ecdsa_blob(ByteView blob, const Curve& curve) {
  Reader reader(blob);
  const auto r = reader.mpint();
  if (!r) return {};
  const auto s = reader.mpint();
  if (!s || !reader.end() || r->size() > curve.field_size || s->size() > curve.field_size) return {};
  const EcdsaSignature signature(ECDSA_SIG_new());
  BIGNUM* r_number = BN_bin2bn(r->data(), static_cast<int>(r->size()), nullptr);
  BIGNUM* s_number = BN_bin2bn(s->data(), static_cast<int>(s->size()), nullptr);
  CULVERT_ASSERT(signature != nullptr && r_number != nullptr && s_number != nullptr);
  ECDSA_SIG_set0(signature.get(), r_number, s_number);
  const int size = i2d_ECDSA_SIG(signature.get(), nullptr);
  CULVERT_ASSERT(size > 0);
  Bytes der(static_cast<std::size_t>(size));
  std::uint8_t* end = der.data();
  i2d_ECDSA_SIG(signature.get(), &end);
  return der;
}

/// The bytes that OpenSSL verifies; empty if the signature cannot fit.
Bytes prepare_signature(std::string_view algorithm, const EVP_PKEY* key, ByteView raw) {
  if (algorithm == kEd25519) return raw.size() == kEd25519SignatureSize ? copy_of(raw) : Bytes{};
  if (const Curve* curve = find_curve(algorithm)) return der_from_ecdsa_blob(raw, *curve);
  const auto modulus_size = static_cast<std::size_t>(EVP_PKEY_get_size(key));
  if (raw.empty() || raw.size() > modulus_size) return {};
  Bytes padded(modulus_size - raw.size());  // some signers leave out leading zeros
  padded.insert(padded.end(), raw.begin(), raw.end());
  return padded;
}

}  // namespace

Result<PublicKey> PublicKey::parse(ByteView blob) {
  Reader reader(blob);
  const std::string_view type = TRY(reader.text());
  Parsed parsed = TRY(parse_content(type, reader));
  std::string application;
  if (is_security_key_type(type)) application = TRY(reader.text());
  TRY(reader.end());
  if (type == kRsa) TRY(check_rsa_is_minimal(blob));
  return PublicKey(std::make_shared<const State>(
      State{std::string(type), copy_of(blob), parsed.bits, std::move(parsed.key), std::move(application)}));
}

const std::string& PublicKey::type() const { return state_->type; }
ByteView PublicKey::blob() const { return state_->blob; }
unsigned PublicKey::bits() const { return state_->bits; }

std::string PublicKey::fingerprint() const {
  std::string digits = base64_encode(hash(HashId::sha256, state_->blob));
  while (digits.ends_with('=')) digits.pop_back();
  return "SHA256:" + digits;
}

std::string_view PublicKey::short_type() const {
  if (state_->type == kEd25519) return "ED25519";
  if (state_->type == kSkEd25519) return "ED25519-SK";
  if (state_->type == kSkEcdsa) return "ECDSA-SK";
  return state_->type == kRsa ? "RSA" : "ECDSA";
}

std::string PublicKey::description() const { return fmt::format("{} {}", short_type(), fingerprint()); }

bool PublicKey::is_security_key() const { return is_security_key_type(state_->type); }

Result<void> PublicKey::verify(std::string_view algorithm, ByteView message, ByteView signature) const {
  if (key_type_of(algorithm) != state_->type) {
    return fail(Errc::verification, fmt::format("a key of type {} makes no {} signatures", state_->type,
                                                printable(algorithm, 64)));
  }
  const auto parts = split_signature(signature, is_security_key());
  if (!parts) return fail(Errc::verification, "signature is malformed");
  if (parts->algorithm != algorithm) {
    return fail(Errc::verification, fmt::format("signature is not of the agreed algorithm {}", algorithm));
  }
  const std::string_view base = base_type(algorithm);
  const Bytes prepared = prepare_signature(base, state_->key.get(), parts->raw);
  if (prepared.empty()) return fail(Errc::verification, "signature is malformed");

  Bytes by_token;
  if (is_security_key()) message = by_token = token_message(state_->application, *parts, message);

  const MdContext context(EVP_MD_CTX_new());
  CULVERT_ASSERT(context != nullptr);
  if (EVP_DigestVerifyInit_ex(context.get(), nullptr, digest_name_of(base), nullptr, nullptr,
                              state_->key.get(), nullptr) != 1 ||
      EVP_DigestVerify(context.get(), prepared.data(), prepared.size(), message.data(), message.size()) !=
          1) {
    return fail(Errc::verification, "signature does not fit");
  }
  return {};
}

bool PublicKey::operator==(const PublicKey& other) const {
  return state_ == other.state_ || state_->blob == other.state_->blob;
}

std::vector<std::string_view> signature_algorithms(std::string_view key_type) {
  if (key_type == kRsa) return {kRsaSha512, kRsaSha256};
  if (key_type == kEd25519) return {kEd25519};
  if (key_type == kSkEd25519) return {kSkEd25519};
  if (key_type == kSkEcdsa) return {kSkEcdsa};
  if (const Curve* curve = find_curve(key_type)) return {curve->key_type};
  return {};
}

std::string_view key_type_of(std::string_view algorithm) {
  if (algorithm == kRsaSha512 || algorithm == kRsaSha256) return kRsa;
  if (algorithm == kEd25519) return kEd25519;
  if (algorithm == kSkEd25519) return kSkEd25519;
  if (algorithm == kSkEcdsa) return kSkEcdsa;
  const Curve* curve = find_curve(algorithm);
  return curve == nullptr ? std::string_view{} : curve->key_type;
}

}  // namespace culvert::crypto
