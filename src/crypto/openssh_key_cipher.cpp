// SPDX-License-Identifier: Apache-2.0
#include "crypto/openssh_key_cipher.hpp"

#include <openssl/core_names.h>

#include <array>

#include "base/assert.hpp"
#include "crypto/evp.hpp"

namespace culvert::crypto {
namespace {

constexpr KeyFileCipher kCiphers[] = {
    {"aes256-ctr", "AES-256-CTR", 32, 16, 16, 0},
    {"aes192-ctr", "AES-192-CTR", 24, 16, 16, 0},
    {"aes128-ctr", "AES-128-CTR", 16, 16, 16, 0},
    {"aes256-cbc", "AES-256-CBC", 32, 16, 16, 0},
    {"aes192-cbc", "AES-192-CBC", 24, 16, 16, 0},
    {"aes128-cbc", "AES-128-CBC", 16, 16, 16, 0},
    {"aes256-gcm@openssh.com", "AES-256-GCM", 32, 12, 16, 16},
    {"aes128-gcm@openssh.com", "AES-128-GCM", 16, 12, 16, 16},
    {"chacha20-poly1305@openssh.com", "ChaCha20", 64, 0, 8, 16},
};

using Cipher = std::unique_ptr<EVP_CIPHER, Releaser<EVP_CIPHER_free>>;
using Mac = std::unique_ptr<EVP_MAC, Releaser<EVP_MAC_free>>;

std::unexpected<Error> wrong_passphrase() { return fail(Errc::wrong_passphrase, "wrong passphrase"); }

/// `iv` may be longer than the cipher's.
CipherContext start(const KeyFileCipher& cipher, const std::uint8_t* key, const std::uint8_t* iv) {
  const Cipher algorithm(EVP_CIPHER_fetch(nullptr, cipher.openssl_name, nullptr));
  CipherContext context(EVP_CIPHER_CTX_new());
  CULVERT_ASSERT(algorithm != nullptr && context != nullptr);
  CULVERT_ASSERT(EVP_DecryptInit_ex2(context.get(), algorithm.get(), key, iv, nullptr) == 1);
  CULVERT_ASSERT(EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1);
  return context;
}

Result<SecretBytes> decrypt_aes(const KeyFileCipher& cipher, const SecretBytes& secret, ByteView sealed,
                                ByteView tag) {
  const CipherContext context = start(cipher, secret.data(), secret.data() + cipher.key_size);
  SecretBytes plain(sealed.size());
  run_cipher(context.get(), sealed, plain.data());
  if (cipher.tag_size > 0) {
    Bytes expected = copy_of(tag);
    CULVERT_ASSERT(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG,
                                       static_cast<int>(expected.size()), expected.data()) == 1);
  }
  std::uint8_t nothing[16];
  int written = 0;
  if (EVP_DecryptFinal_ex(context.get(), nothing, &written) != 1) return wrong_passphrase();
  return plain;
}

Bytes poly1305(ByteView key, ByteView data) {
  const Mac algorithm(EVP_MAC_fetch(nullptr, "POLY1305", nullptr));
  CULVERT_ASSERT(algorithm != nullptr);
  const MacContext context(EVP_MAC_CTX_new(algorithm.get()));
  CULVERT_ASSERT(context != nullptr);
  Bytes tag(16);
  std::size_t size = 0;
  CULVERT_ASSERT(EVP_MAC_init(context.get(), key.data(), key.size(), nullptr) == 1 &&
                 EVP_MAC_update(context.get(), data.data(), data.size()) == 1 &&
                 EVP_MAC_final(context.get(), tag.data(), &size, tag.size()) == 1 && size == tag.size());
  return tag;
}

/// PROTOCOL.chacha20poly1305 with sequence number 0 and no packet length: the key's second half stays unused.
Result<SecretBytes> decrypt_chacha(const KeyFileCipher& cipher, const SecretBytes& secret, ByteView sealed,
                                   ByteView tag) {
  const std::array<std::uint8_t, 16> first_block{};  // counter 0, nonce 0
  const CipherContext context = start(cipher, secret.data(), first_block.data());
  SecretBytes block(64);
  run_cipher(context.get(), SecretBytes(block.size()), block.data());  // the payload starts at the next block
  if (!equal_in_constant_time(poly1305(block.view().first(32), sealed), tag)) return wrong_passphrase();
  SecretBytes plain(sealed.size());
  run_cipher(context.get(), sealed, plain.data());
  return plain;
}

}  // namespace

const KeyFileCipher* find_key_file_cipher(std::string_view name) {
  for (const KeyFileCipher& cipher : kCiphers) {
    if (cipher.name == name) return &cipher;
  }
  return nullptr;
}

Result<SecretBytes> decrypt_key_section(const KeyFileCipher& cipher, const SecretBytes& secret,
                                        ByteView sealed, ByteView tag) {
  CULVERT_ASSERT(secret.size() == cipher.key_size + cipher.iv_size && tag.size() == cipher.tag_size);
  CULVERT_ASSERT(sealed.size() % cipher.block_size == 0);
  if (cipher.iv_size == 0) return decrypt_chacha(cipher, secret, sealed, tag);
  return decrypt_aes(cipher, secret, sealed, tag);
}

}  // namespace culvert::crypto
