// SPDX-License-Identifier: Apache-2.0
#include "crypto/aes_ctr.hpp"

#include <utility>

#include "base/assert.hpp"
#include "base/wire.hpp"
#include "crypto/evp.hpp"
#include "crypto/packet_mac.hpp"
#include "crypto/packet_parts.hpp"

namespace culvert::crypto {
namespace {

constexpr std::size_t kBlockSize = 16;

const EVP_CIPHER* evp_aes_ctr(std::size_t key_size) {
  static const EVP_CIPHER* const aes128 = EVP_CIPHER_fetch(nullptr, "AES-128-CTR", nullptr);
  static const EVP_CIPHER* const aes192 = EVP_CIPHER_fetch(nullptr, "AES-192-CTR", nullptr);
  static const EVP_CIPHER* const aes256 = EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr);
  CULVERT_ASSERT(key_size == 16 || key_size == 24 || key_size == 32);
  return key_size == 16 ? aes128 : key_size == 24 ? aes192 : aes256;
}

/// One key stream that runs through all packets: the same operation encrypts and decrypts.
class AesCtr {
 public:
  AesCtr(ByteView key, ByteView iv) : context_(EVP_CIPHER_CTX_new()) {
    CULVERT_ASSERT(iv.size() == kBlockSize);
    CULVERT_ASSERT(
        EVP_EncryptInit_ex(context_.get(), evp_aes_ctr(key.size()), nullptr, key.data(), iv.data()) == 1);
  }

  void apply(ByteView in, std::uint8_t* out) { run_cipher(context_.get(), in, out); }
  void apply(MutableBytes in_place) { apply(in_place, in_place.data()); }

 private:
  CipherContext context_;
};

class EncryptAndMacSealer final : public Sealer {
 public:
  EncryptAndMacSealer(const MacInfo& mac, ByteView key, ByteView iv, ByteView mac_key)
      : cipher_(key, iv), mac_(mac, mac_key) {}

  std::size_t block_size() const override { return kBlockSize; }
  bool length_is_apart() const override { return false; }
  std::size_t tag_size() const override { return mac_.tag_size(); }

  void seal(std::uint32_t sequence, std::span<const ByteView> parts, MutableBytes out) override {
    check_parts(parts, out, tag_size());
    mac_.begin(sequence);
    std::uint8_t* to = out.data();
    for (const ByteView part : parts) {
      mac_.update(part);  // before its output may overwrite it
      cipher_.apply(part, to);
      to += part.size();
    }
    mac_.finish(out.last(tag_size()));
  }

 private:
  AesCtr cipher_;
  PacketMac mac_;
};

class EncryptAndMacOpener final : public Opener {
 public:
  EncryptAndMacOpener(const MacInfo& mac, ByteView key, ByteView iv, ByteView mac_key)
      : cipher_(key, iv), mac_(mac, mac_key) {}

  std::size_t block_size() const override { return kBlockSize; }
  bool length_is_apart() const override { return false; }
  std::size_t tag_size() const override { return mac_.tag_size(); }
  std::size_t head_size() const override { return kBlockSize; }

  std::uint32_t length(std::uint32_t /*sequence*/, MutableBytes head) override {
    CULVERT_ASSERT(head.size() == kBlockSize);
    CULVERT_ASSERT(!std::exchange(head_is_plain_, true));
    cipher_.apply(head);
    return load_u32(head.data());
  }

  Result<void> open(std::uint32_t sequence, MutableBytes packet) override {
    CULVERT_ASSERT(std::exchange(head_is_plain_, false));
    if (packet.size() < kBlockSize + tag_size()) return bad_tag();
    const MutableBytes text = packet.first(packet.size() - tag_size());
    cipher_.apply(text.subspan(kBlockSize));
    mac_.begin(sequence);
    mac_.update(text);
    if (!mac_.finish_and_compare(packet.last(tag_size()))) return bad_tag();
    return {};
  }

 private:
  AesCtr cipher_;
  PacketMac mac_;
  bool head_is_plain_ = false;
};

class EncryptThenMacSealer final : public Sealer {
 public:
  EncryptThenMacSealer(const MacInfo& mac, ByteView key, ByteView iv, ByteView mac_key)
      : cipher_(key, iv), mac_(mac, mac_key) {}

  std::size_t block_size() const override { return kBlockSize; }
  bool length_is_apart() const override { return true; }
  std::size_t tag_size() const override { return mac_.tag_size(); }

  void seal(std::uint32_t sequence, std::span<const ByteView> parts, MutableBytes out) override {
    check_parts(parts, out, tag_size());
    copy_part(parts[0].first(kLengthSize), out.data());
    std::uint8_t* to = out.data() + kLengthSize;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const ByteView part = i == 0 ? parts[0].subspan(kLengthSize) : parts[i];
      cipher_.apply(part, to);
      to += part.size();
    }
    mac_.begin(sequence);
    mac_.update(out.first(out.size() - tag_size()));
    mac_.finish(out.last(tag_size()));
  }

 private:
  AesCtr cipher_;
  PacketMac mac_;
};

class EncryptThenMacOpener final : public Opener {
 public:
  EncryptThenMacOpener(const MacInfo& mac, ByteView key, ByteView iv, ByteView mac_key)
      : cipher_(key, iv), mac_(mac, mac_key) {}

  std::size_t block_size() const override { return kBlockSize; }
  bool length_is_apart() const override { return true; }
  std::size_t tag_size() const override { return mac_.tag_size(); }
  std::size_t head_size() const override { return kLengthSize; }

  std::uint32_t length(std::uint32_t /*sequence*/, MutableBytes head) override {
    CULVERT_ASSERT(head.size() == kLengthSize);
    return load_u32(head.data());
  }

  Result<void> open(std::uint32_t sequence, MutableBytes packet) override {
    if (packet.size() < kLengthSize + tag_size()) return bad_tag();
    const MutableBytes sealed = packet.first(packet.size() - tag_size());
    mac_.begin(sequence);
    mac_.update(sealed);
    if (!mac_.finish_and_compare(packet.last(tag_size()))) return bad_tag();
    cipher_.apply(sealed.subspan(kLengthSize));
    return {};
  }

 private:
  AesCtr cipher_;
  PacketMac mac_;
};

}  // namespace

std::unique_ptr<Sealer> make_aes_ctr_sealer(const MacInfo* mac, ByteView key, ByteView iv, ByteView mac_key) {
  CULVERT_ASSERT(mac != nullptr);
  if (mac->encrypt_then_mac) return std::make_unique<EncryptThenMacSealer>(*mac, key, iv, mac_key);
  return std::make_unique<EncryptAndMacSealer>(*mac, key, iv, mac_key);
}

std::unique_ptr<Opener> make_aes_ctr_opener(const MacInfo* mac, ByteView key, ByteView iv, ByteView mac_key) {
  CULVERT_ASSERT(mac != nullptr);
  if (mac->encrypt_then_mac) return std::make_unique<EncryptThenMacOpener>(*mac, key, iv, mac_key);
  return std::make_unique<EncryptAndMacOpener>(*mac, key, iv, mac_key);
}

}  // namespace culvert::crypto
