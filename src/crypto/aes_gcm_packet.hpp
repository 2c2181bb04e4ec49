// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: the packet format of AES-GCM over an engine. An engine holds the expanded key, wipes it
// when it is destroyed, and has
//   Engine(ByteView key, Direction);
//   void begin(ByteView nonce, ByteView associated_data);
//   void update(ByteView in, std::uint8_t* out);      in place or apart, not empty
//   void tag(MutableBytes tag);                       Direction::seal, last
//   bool tag_fits(ByteView tag);                      Direction::open, last; in constant time
#pragma once

#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "base/wire.hpp"
#include "crypto/packet_cipher.hpp"
#include "crypto/packet_parts.hpp"

namespace culvert::crypto {

inline constexpr std::size_t kGcmTagSize = 16;
inline constexpr std::size_t kGcmBlockSize = 16;

enum class Direction : bool { seal, open };

/// RFC 5647 section 7.1: fixed[4] | invocation_counter[8].
class GcmNonce {
 public:
  static constexpr std::size_t kSize = 12;

  explicit GcmNonce(ByteView iv) {
    CULVERT_ASSERT(iv.size() == kSize);
    std::ranges::copy(iv, bytes_.begin());
  }
  [[nodiscard]] ByteView view() const { return bytes_; }
  void advance() {
    for (std::size_t i = kSize; i-- > 4;) {
      if (++bytes_[i] != 0) return;
    }
  }

 private:
  std::array<std::uint8_t, kSize> bytes_{};
};

template <class Engine>
class GcmSealer final : public Sealer {
 public:
  GcmSealer(ByteView key, ByteView iv) : engine_(key, Direction::seal), nonce_(iv) {}

  std::size_t block_size() const override { return kGcmBlockSize; }
  bool length_is_apart() const override { return true; }
  std::size_t tag_size() const override { return kGcmTagSize; }

  void seal(std::uint32_t /*sequence*/, std::span<const ByteView> parts, MutableBytes out) override {
    check_parts(parts, out, kGcmTagSize);
    copy_part(parts[0].first(kLengthSize), out.data());
    engine_.begin(nonce_.view(), out.first(kLengthSize));
    std::uint8_t* to = out.data() + kLengthSize;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const ByteView part = i == 0 ? parts[0].subspan(kLengthSize) : parts[i];
      if (part.empty()) continue;
      engine_.update(part, to);
      to += part.size();
    }
    engine_.tag(out.last(kGcmTagSize));
    nonce_.advance();
  }

 private:
  Engine engine_;
  GcmNonce nonce_;
};

template <class Engine>
class GcmOpener final : public Opener {
 public:
  GcmOpener(ByteView key, ByteView iv) : engine_(key, Direction::open), nonce_(iv) {}

  std::size_t block_size() const override { return kGcmBlockSize; }
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
    engine_.begin(nonce_.view(), packet.first(kLengthSize));
    if (!text.empty()) engine_.update(text, text.data());
    nonce_.advance();
    if (!engine_.tag_fits(packet.last(kGcmTagSize))) return bad_tag();
    return {};
  }

 private:
  Engine engine_;
  GcmNonce nonce_;
};

}  // namespace culvert::crypto
