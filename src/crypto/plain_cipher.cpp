// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "base/wire.hpp"
#include "crypto/packet_cipher.hpp"
#include "crypto/packet_parts.hpp"

namespace culvert::crypto {
namespace {

constexpr std::size_t kBlockSize = 8;

class PlainSealer final : public Sealer {
 public:
  std::size_t block_size() const override { return kBlockSize; }
  bool length_is_apart() const override { return false; }
  std::size_t tag_size() const override { return 0; }

  void seal(std::uint32_t /*sequence*/, std::span<const ByteView> parts, MutableBytes out) override {
    check_parts(parts, out, 0);
    for (const ByteView part : parts) {
      copy_part(part, out.data());
      out = out.subspan(part.size());
    }
  }
};

class PlainOpener final : public Opener {
 public:
  std::size_t block_size() const override { return kBlockSize; }
  bool length_is_apart() const override { return false; }
  std::size_t tag_size() const override { return 0; }
  std::size_t head_size() const override { return kLengthSize; }

  std::uint32_t length(std::uint32_t /*sequence*/, MutableBytes head) override {
    CULVERT_ASSERT(head.size() == kLengthSize);
    return load_u32(head.data());
  }

  Result<void> open(std::uint32_t /*sequence*/, MutableBytes /*packet*/) override { return {}; }
};

}  // namespace

std::unique_ptr<Sealer> make_plain_sealer() { return std::make_unique<PlainSealer>(); }
std::unique_ptr<Opener> make_plain_opener() { return std::make_unique<PlainOpener>(); }

}  // namespace culvert::crypto
