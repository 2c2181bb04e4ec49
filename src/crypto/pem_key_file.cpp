// SPDX-License-Identifier: Apache-2.0
#include "crypto/pem_key_file.hpp"

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include <algorithm>
#include <string>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "crypto/key_handles.hpp"
#include "crypto/pem_work_factor.hpp"
#include "crypto/private_key_parts.hpp"

namespace culvert::crypto {
namespace {

constexpr std::string_view kLabelEnd = "PRIVATE KEY-----";

using Pkcs8 = std::unique_ptr<PKCS8_PRIV_KEY_INFO, Releaser<PKCS8_PRIV_KEY_INFO_free>>;
using EncryptedPkcs8 = std::unique_ptr<X509_SIG, Releaser<X509_SIG_free>>;

std::unexpected<Error> malformed() { return fail(Errc::malformed, "private key is damaged"); }
std::unexpected<Error> needs_passphrase() {
  return fail(Errc::needs_passphrase, "private key is encrypted: a passphrase is needed");
}
std::unexpected<Error> wrong_passphrase() { return fail(Errc::wrong_passphrase, "wrong passphrase"); }

/// One block, as PEM_read_bio_ex allocates it.
class Block {
 public:
  Block() = default;
  ~Block() {
    OPENSSL_secure_clear_free(name_, name_ == nullptr ? 0 : std::string_view(name_).size());
    OPENSSL_secure_clear_free(header_, header_ == nullptr ? 0 : std::string_view(header_).size());
    OPENSSL_secure_clear_free(data_, allocated_);
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  [[nodiscard]] bool read(BIO* bio) {
    if (PEM_read_bio_ex(bio, &name_, &header_, &data_, &size_, PEM_FLAG_SECURE) != 1) return false;
    allocated_ = static_cast<std::size_t>(size_);
    return true;
  }
  [[nodiscard]] std::string_view label() const { return name_; }
  [[nodiscard]] char* header() { return header_; }
  [[nodiscard]] unsigned char* data() { return data_; }
  [[nodiscard]] long& size() { return size_; }

 private:
  char* name_ = nullptr;
  char* header_ = nullptr;
  unsigned char* data_ = nullptr;
  long size_ = 0;
  std::size_t allocated_ = 0;
};

/// Never asks anybody: OpenSSL's own callback would take over the terminal.
int give_passphrase(char* out, int room, int /*writing*/, void* user) {
  const auto* passphrase = static_cast<const SecretBytes*>(user);
  if (passphrase == nullptr || passphrase->size() > static_cast<std::size_t>(room)) return -1;
  std::ranges::copy(passphrase->text(), out);
  return static_cast<int>(passphrase->size());
}

/// True if OpenSSL's last failure was for want of an algorithm (old ones are not in its default provider).
bool failed_as_unsupported() {
  const auto reason = ERR_GET_REASON(ERR_peek_last_error());
  const auto first = ERR_GET_REASON(ERR_peek_error());
  for (const int code : {reason, first}) {
    if (code == ERR_R_UNSUPPORTED || code == EVP_R_UNSUPPORTED_ALGORITHM ||
        code == PEM_R_UNSUPPORTED_ENCRYPTION || code == EVP_R_UNKNOWN_PBE_ALGORITHM ||
        code == EVP_R_UNSUPPORTED_CIPHER) {
      return true;
    }
  }
  return false;
}

/// Takes off RFC 1421's encryption, if there is one. True if there was.
Result<bool> remove_legacy_encryption(Block& block, const SecretBytes* passphrase) {
  EVP_CIPHER_INFO info;
  ERR_clear_error();
  if (PEM_get_EVP_CIPHER_INFO(block.header(), &info) != 1) {
    if (failed_as_unsupported()) {
      return fail(Errc::unsupported, "private key is encrypted with a cipher that is not supported");
    }
    return malformed();
  }
  if (info.cipher == nullptr) return false;
  if (passphrase == nullptr) return needs_passphrase();
  // Only read: the callback's type has no const.
  void* user = const_cast<SecretBytes*>(passphrase);
  if (PEM_do_header(&info, block.data(), &block.size(), give_passphrase, user) != 1) {
    if (failed_as_unsupported()) {
      return fail(Errc::unsupported, "private key is encrypted with a cipher that is not supported");
    }
    return wrong_passphrase();
  }
  return true;
}

Result<Pkey> from_pkcs8(const PKCS8_PRIV_KEY_INFO* info) {
  ERR_clear_error();
  Pkey key(EVP_PKCS82PKEY(info));
  if (key == nullptr) {
    if (failed_as_unsupported())
      return fail(Errc::unsupported, "private key is of a type that is not supported");
    return malformed();
  }
  return key;
}

Result<Pkey> decode_encrypted_pkcs8(Block& block, const SecretBytes* passphrase) {
  const unsigned char* at = block.data();
  const EncryptedPkcs8 sealed(d2i_X509_SIG(nullptr, &at, block.size()));
  if (sealed == nullptr || at != block.data() + block.size()) return malformed();
  if (passphrase == nullptr) return needs_passphrase();
  TRY(check_work_factor(*sealed));
  ERR_clear_error();
  const Pkcs8 info(
      PKCS8_decrypt(sealed.get(), passphrase->text().data(), static_cast<int>(passphrase->size())));
  if (info == nullptr) {
    if (failed_as_unsupported()) {
      return fail(Errc::unsupported, "private key is encrypted with an algorithm that is not supported");
    }
    return wrong_passphrase();
  }
  return from_pkcs8(info.get());
}

Result<Pkey> decode_plain(Block& block) {
  const unsigned char* at = block.data();
  const unsigned char* end = block.data() + block.size();
  if (block.label() == PEM_STRING_PKCS8INF) {
    const Pkcs8 info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, block.size()));
    if (info == nullptr || at != end) return malformed();
    return from_pkcs8(info.get());
  }
  const int type = block.label() == PEM_STRING_RSA ? EVP_PKEY_RSA : EVP_PKEY_EC;
  Pkey key(d2i_PrivateKey(type, nullptr, &at, block.size()));
  if (key == nullptr || at != end) return malformed();
  return key;
}

Result<Pkey> decode(Block& block, const SecretBytes* passphrase) {
  if (block.label() == PEM_STRING_PKCS8) return decode_encrypted_pkcs8(block, passphrase);
  if (block.label() != PEM_STRING_PKCS8INF && block.label() != PEM_STRING_RSA &&
      block.label() != PEM_STRING_ECPRIVATEKEY) {
    return fail(Errc::unsupported,
                fmt::format("a \"{}\" file is not supported", printable(block.label(), 64)));
  }
  const bool was_encrypted = TRY(remove_legacy_encryption(block, passphrase));
  auto key = decode_plain(block);
  // A wrong passphrase has one chance in 256 to end in right padding.
  if (!key && was_encrypted) return wrong_passphrase();
  return key;
}

Result<SecretBytes> number_of(const EVP_PKEY* key, const char* name) {
  BIGNUM* taken = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &taken) != 1) return malformed();
  const SecretNumber number(taken);
  SecretBytes magnitude(static_cast<std::size_t>(BN_num_bytes(number.get())));
  BN_bn2bin(number.get(), magnitude.data());
  return magnitude;
}

Result<PrivateKey> take_ed25519(const EVP_PKEY* key) {
  SecretBytes seed(kEd25519KeySize);
  std::size_t size = seed.size();
  if (EVP_PKEY_get_raw_private_key(key, seed.data(), &size) != 1 || size != seed.size()) return malformed();
  return make_ed25519_key(seed, {});
}

Result<PrivateKey> take_ecdsa(const EVP_PKEY* key) {
  char name[64];
  std::size_t name_size = 0;
  if (EVP_PKEY_get_group_name(key, name, sizeof name, &name_size) != 1) {
    return fail(Errc::unsupported, "elliptic curve of the private key has no name");
  }
  const std::string_view group(name, name_size);
  const auto curve = std::ranges::find_if(kCurves, [&](const Curve& c) { return group == c.openssl_name; });
  if (curve == kCurves.end()) {
    return fail(Errc::unsupported, fmt::format("elliptic curve {} is not supported", printable(group)));
  }
  Bytes point{POINT_CONVERSION_UNCOMPRESSED};
  for (const char* coordinate : {OSSL_PKEY_PARAM_EC_PUB_X, OSSL_PKEY_PARAM_EC_PUB_Y}) {
    const SecretBytes magnitude = TRY(number_of(key, coordinate));
    if (magnitude.size() > curve->field_size) return malformed();
    point.resize(point.size() + curve->field_size - magnitude.size());
    point.insert(point.end(), magnitude.view().begin(), magnitude.view().end());
  }
  return make_ecdsa_key(*curve, point, TRY(number_of(key, OSSL_PKEY_PARAM_PRIV_KEY)), {});
}

Result<PrivateKey> take_rsa(const EVP_PKEY* key) {
  RsaNumbers numbers;
  numbers.n = TRY(number_of(key, OSSL_PKEY_PARAM_RSA_N));
  numbers.e = TRY(number_of(key, OSSL_PKEY_PARAM_RSA_E));
  numbers.d = TRY(number_of(key, OSSL_PKEY_PARAM_RSA_D));
  numbers.p = TRY(number_of(key, OSSL_PKEY_PARAM_RSA_FACTOR1));
  numbers.q = TRY(number_of(key, OSSL_PKEY_PARAM_RSA_FACTOR2));
  numbers.qinv = TRY(number_of(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1));
  return make_rsa_key(numbers, {});
}

}  // namespace

bool is_pem_private_key(std::string_view text) {
  return text.find("-----BEGIN ") != text.npos && text.find(kLabelEnd) != text.npos;
}

Result<PrivateKey> parse_pem_private_key(std::string_view text, const SecretBytes* passphrase) {
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  CULVERT_ASSERT(bio != nullptr);
  while (
      true) {  // "EC PARAMETERS", certificates and the like may come first; each turn takes some of the text
    Block block;
    if (!block.read(bio.get())) return fail(Errc::malformed, "no complete private key in it");
    if (!block.label().ends_with("PRIVATE KEY")) continue;
    const Pkey key = TRY(decode(block, passphrase));
    if (EVP_PKEY_is_a(key.get(), "ED25519") == 1) return take_ed25519(key.get());
    if (EVP_PKEY_is_a(key.get(), "EC") == 1) return take_ecdsa(key.get());
    if (EVP_PKEY_is_a(key.get(), "RSA") == 1) return take_rsa(key.get());
    return fail(Errc::unsupported, "private key is of a type that is not supported");
  }
}

}  // namespace culvert::crypto
