// SPDX-License-Identifier: Apache-2.0
#include "crypto/chacha20_poly1305.hpp"

#include <array>

#include "base/assert.hpp"
#include "base/secret.hpp"
#include "base/wire.hpp"
#include "crypto/evp.hpp"
#include "crypto/packet_parts.hpp"

namespace culvert::crypto {
namespace {

constexpr std::size_t kKeySize = 32;
constexpr std::size_t kBlockSize = 64;   // of key stream
constexpr std::size_t kPaddingUnit = 8;  // what the packet is padded to
constexpr std::size_t kTagSize = 16;

/// One ChaCha20 key with the original layout: 8 bytes of block counter, 8 bytes of nonce.
class ChaCha20 {
 public:
  explicit ChaCha20(ByteView key) : context_(EVP_CIPHER_CTX_new()) {
    static const EVP_CIPHER* const fetched = EVP_CIPHER_fetch(nullptr, "ChaCha20", nullptr);
    CULVERT_ASSERT(key.size() == kKeySize);
    CULVERT_ASSERT(EVP_EncryptInit_ex(context_.get(), fetched, nullptr, key.data(), nullptr) == 1);
  }

  /// Back to block 0, for this packet.
  void begin(std::uint32_t sequence) {
    std::array<std::uint8_t, 16> counter_and_nonce{};
    store_u32(counter_and_nonce.data() + 12, sequence);
    CULVERT_ASSERT(EVP_EncryptInit_ex(context_.get(), nullptr, nullptr, nullptr, counter_and_nonce.data()) ==
                   1);
  }

  void apply(ByteView in, std::uint8_t* out) { run_cipher(context_.get(), in, out); }

 private:
  CipherContext context_;
};

class Poly1305 {
 public:
  Poly1305() {
    static EVP_MAC* const fetched = EVP_MAC_fetch(nullptr, "POLY1305", nullptr);
    context_.reset(EVP_MAC_CTX_new(fetched));
    CULVERT_ASSERT(context_ != nullptr);
  }

  void begin(ByteView one_time_key) {
    CULVERT_ASSERT(EVP_MAC_init(context_.get(), one_time_key.data(), one_time_key.size(), nullptr) == 1);
  }
  void update(ByteView bytes) {
    CULVERT_ASSERT(EVP_MAC_update(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  void finish(MutableBytes tag) {
    std::size_t written = 0;
    CULVERT_ASSERT(EVP_MAC_final(context_.get(), tag.data(), &written, tag.size()) == 1 &&
                   written == kTagSize);
  }

 private:
  MacContext context_;
};

/// Both keys and the MAC, ready for one packet at a time.
struct Keys {
  /// `key`: 64 bytes.
  explicit Keys(ByteView key) : main(key.first(kKeySize)), length(key.last(kKeySize)) {}

  /// Takes block 0 of the main key for Poly1305, so that `main` goes on with block 1, where the packet
  /// starts.
  void begin(std::uint32_t sequence) {
    main.begin(sequence);
    std::array<std::uint8_t, kBlockSize> block{};
    main.apply(block, block.data());
    mac.begin(ByteView(block).first(kKeySize));
    wipe(block);
  }

  ChaCha20 main;
  ChaCha20 length;
  Poly1305 mac;
};

class ChaChaSealer final : public Sealer {
 public:
  explicit ChaChaSealer(ByteView key) : keys_(key) {}

  std::size_t block_size() const override { return kPaddingUnit; }
  bool length_is_apart() const override { return true; }
  std::size_t tag_size() const override { return kTagSize; }

  void seal(std::uint32_t sequence, std::span<const ByteView> parts, MutableBytes out) override {
    check_parts(parts, out, kTagSize);
    keys_.begin(sequence);
    keys_.length.begin(sequence);
    keys_.length.apply(parts[0].first(kLengthSize), out.data());
    std::uint8_t* to = out.data() + kLengthSize;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const ByteView part = i == 0 ? parts[0].subspan(kLengthSize) : parts[i];
      keys_.main.apply(part, to);
      to += part.size();
    }
    keys_.mac.update(out.first(out.size() - kTagSize));
    keys_.mac.finish(out.last(kTagSize));
  }

 private:
  Keys keys_;
};

class ChaChaOpener final : public Opener {
 public:
  explicit ChaChaOpener(ByteView key) : keys_(key) {}

  std::size_t block_size() const override { return kPaddingUnit; }
  bool length_is_apart() const override { return true; }
  std::size_t tag_size() const override { return kTagSize; }
  std::size_t head_size() const override { return kLengthSize; }

  std::uint32_t length(std::uint32_t sequence, MutableBytes head) override {
    CULVERT_ASSERT(head.size() == kLengthSize);
    std::array<std::uint8_t, kLengthSize> plain{};
    keys_.length.begin(sequence);
    keys_.length.apply(head, plain.data());
    return load_u32(plain.data());
  }

  Result<void> open(std::uint32_t sequence, MutableBytes packet) override {
    if (packet.size() < kLengthSize + kTagSize) return bad_tag();
    const MutableBytes sealed = packet.first(packet.size() - kTagSize);
    keys_.begin(sequence);
    keys_.mac.update(sealed);
    std::array<std::uint8_t, kTagSize> tag{};
    keys_.mac.finish(tag);
    if (!equal_in_constant_time(tag, packet.last(kTagSize))) return bad_tag();

    const MutableBytes text = sealed.subspan(kLengthSize);
    store_u32(packet.data(), static_cast<std::uint32_t>(text.size()));
    keys_.main.apply(text, text.data());
    return {};
  }

 private:
  Keys keys_;
};

}  // namespace

std::unique_ptr<Sealer> make_chacha20_poly1305_sealer(ByteView key) {
  CULVERT_ASSERT(key.size() == 2 * kKeySize);
  return std::make_unique<ChaChaSealer>(key);
}

std::unique_ptr<Opener> make_chacha20_poly1305_opener(ByteView key) {
  CULVERT_ASSERT(key.size() == 2 * kKeySize);
  return std::make_unique<ChaChaOpener>(key);
}

}  // namespace culvert::crypto
