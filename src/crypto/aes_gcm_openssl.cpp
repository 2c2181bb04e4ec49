// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.hpp"
#include "crypto/aes_gcm_engines.hpp"
#include "crypto/evp.hpp"

namespace culvert::crypto {
namespace {

const EVP_CIPHER* evp_aes_gcm(std::size_t key_size) {
  static const EVP_CIPHER* const aes128 = EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr);
  static const EVP_CIPHER* const aes256 = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  return key_size == 16 ? aes128 : aes256;
}

class OpensslAesGcm final : public AesGcm {
 public:
  OpensslAesGcm(ByteView key, Direction direction) : context_(EVP_CIPHER_CTX_new()) {
    const int encrypt = direction == Direction::seal ? 1 : 0;
    CULVERT_ASSERT(EVP_CipherInit_ex(context_.get(), evp_aes_gcm(key.size()), nullptr, key.data(), nullptr,
                                     encrypt) == 1);
  }

  void begin(ByteView nonce, ByteView associated_data) override {
    CULVERT_ASSERT(EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, nonce.data(), -1) == 1);
    update(associated_data, nullptr);
  }

  void update(ByteView in, std::uint8_t* out) override {
    int written = 0;
    CULVERT_ASSERT(std::in_range<int>(in.size()));
    CULVERT_ASSERT(EVP_CipherUpdate(context_.get(), out, &written, in.data(), static_cast<int>(in.size())) ==
                   1);
  }

  void tag(MutableBytes tag) override {
    int written = 0;
    CULVERT_ASSERT(EVP_CipherFinal_ex(context_.get(), tag.data(), &written) == 1 && written == 0);
    CULVERT_ASSERT(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kGcmTagSize, tag.data()) == 1);
  }

  bool tag_fits(ByteView tag) override {
    std::array<std::uint8_t, kGcmTagSize> theirs{};
    std::ranges::copy(tag, theirs.begin());
    CULVERT_ASSERT(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kGcmTagSize, theirs.data()) ==
                   1);
    int written = 0;
    return EVP_CipherFinal_ex(context_.get(), theirs.data(), &written) == 1;
  }

 private:
  CipherContext context_;
};

}  // namespace

std::unique_ptr<AesGcm> make_openssl_aes_gcm(ByteView key, Direction direction) {
  return std::make_unique<OpensslAesGcm>(key, direction);
}

}  // namespace culvert::crypto
