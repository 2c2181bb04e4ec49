// SPDX-License-Identifier: Apache-2.0
#include "crypto/aes_gcm.hpp"

#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "base/wire.hpp"
#include "crypto/aes_gcm_engines.hpp"
#include "crypto/packet_parts.hpp"

namespace culvert::crypto {
namespace {

constexpr std::size_t kBlockSize = 16;

/// RFC 5647 section 7.1: fixed[4] | invocation_counter[8].
class Nonce {
 public:
  explicit Nonce(ByteView iv) {
    CULVERT_ASSERT(iv.size() == kGcmNonceSize);
    std::ranges::copy(iv, bytes_.begin());
  }
  [[nodiscard]] ByteView view() const { return bytes_; }
  void advance() {
    for (std::size_t i = kGcmNonceSize; i-- > 4;) {
      if (++bytes_[i] != 0) return;
    }
  }

 private:
  std::array<std::uint8_t, kGcmNonceSize> bytes_{};
};

class GcmSealer final : public Sealer {
 public:
  GcmSealer(AesGcmEngine engine, ByteView key, ByteView iv)
      : gcm_(make_aes_gcm(engine, key, Direction::seal)), nonce_(iv) {}

  std::size_t block_size() const override { return kBlockSize; }
  bool length_is_apart() const override { return true; }
  std::size_t tag_size() const override { return kGcmTagSize; }

  void seal(std::uint32_t /*sequence*/, std::span<const ByteView> parts, MutableBytes out) override {
    check_parts(parts, out, kGcmTagSize);
    copy_part(parts[0].first(kLengthSize), out.data());
    gcm_->begin(nonce_.view(), out.first(kLengthSize));
    std::uint8_t* to = out.data() + kLengthSize;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const ByteView part = i == 0 ? parts[0].subspan(kLengthSize) : parts[i];
      if (part.empty()) continue;
      gcm_->update(part, to);
      to += part.size();
    }
    gcm_->tag(out.last(kGcmTagSize));
    nonce_.advance();
  }

 private:
  std::unique_ptr<AesGcm> gcm_;
  Nonce nonce_;
};

class GcmOpener final : public Opener {
 public:
  GcmOpener(AesGcmEngine engine, ByteView key, ByteView iv)
      : gcm_(make_aes_gcm(engine, key, Direction::open)), nonce_(iv) {}

  std::size_t block_size() const override { return kBlockSize; }
  bool length_is_apart() const override { return true; }
  std::size_t tag_size() const override { return kGcmTagSize; }
  std::size_t head_size() const override { return kLengthSize; }

  std::uint32_t length(std::uint32_t /*sequence*/, MutableBytes head) override {
    CULVERT_ASSERT(head.size() == kLengthSize);
    return load_u32(head.data());
  }

  Result<void> open(std::uint32_t /*sequence*/, MutableBytes packet) override {
    if (packet.size() < kLengthSize + kGcmTagSize) return bad_tag();
    const MutableBytes text = packet.subspan(kLengthSize, packet.size() - kLengthSize - kGcmTagSize);
    gcm_->begin(nonce_.view(), packet.first(kLengthSize));
    if (!text.empty()) gcm_->update(text, text.data());
    nonce_.advance();
    if (!gcm_->tag_fits(packet.last(kGcmTagSize))) return bad_tag();
    return {};
  }

 private:
  std::unique_ptr<AesGcm> gcm_;
  Nonce nonce_;
};

}  // namespace

bool is_available(AesGcmEngine engine) { return engine == AesGcmEngine::openssl || ipsec_mb_is_available(); }

AesGcmEngine fastest_aes_gcm_engine() {
  // Measured against OpenSSL 3.0: 4 times its speed with AVX-512, and with AVX or AVX2 a little faster on
  // large packets and 3 times as fast on small ones.
  return ipsec_mb_is_available() ? AesGcmEngine::ipsec_mb : AesGcmEngine::openssl;
}

std::unique_ptr<AesGcm> make_aes_gcm(AesGcmEngine engine, ByteView key, Direction direction) {
  CULVERT_ASSERT((key.size() == 16 || key.size() == 32) && is_available(engine));
  return engine == AesGcmEngine::ipsec_mb ? make_ipsec_mb_aes_gcm(key, direction)
                                          : make_openssl_aes_gcm(key, direction);
}

std::unique_ptr<Sealer> make_aes_gcm_sealer(AesGcmEngine engine, ByteView key, ByteView iv) {
  return std::make_unique<GcmSealer>(engine, key, iv);
}

std::unique_ptr<Opener> make_aes_gcm_opener(AesGcmEngine engine, ByteView key, ByteView iv) {
  return std::make_unique<GcmOpener>(engine, key, iv);
}

}  // namespace culvert::crypto
