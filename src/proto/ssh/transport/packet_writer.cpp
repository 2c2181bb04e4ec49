// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/transport/packet_writer.hpp"

#include <algorithm>
#include <cstring>

#include "base/wire.hpp"

namespace culvert::ssh {
namespace {

constexpr std::size_t kLengthSize = 4;
constexpr std::size_t kPaddingLengthSize = 1;
constexpr std::size_t kMinPadding = 4;
constexpr std::size_t kMinPacket = 16;  // RFC 4253 section 6, lengths and padding included
constexpr std::size_t kMaxPayload = 256 * 1024;

}  // namespace

void PacketWriter::write(ByteView head, ByteView body) {
  const std::size_t payload = head.size() + body.size();
  CULVERT_ASSERT(!head.empty() && payload <= kMaxPayload);
  const std::size_t block = sealer_->block_size();
  const std::size_t counted = (sealer_->length_is_apart() ? 0 : kLengthSize) + kPaddingLengthSize + payload;
  std::size_t padding = block - counted % block;
  if (padding < kMinPadding || kLengthSize + kPaddingLengthSize + payload + padding < kMinPacket)
    padding += block;

  const std::size_t plain = kLengthSize + kPaddingLengthSize + payload + padding;
  const std::size_t whole = plain + sealer_->tag_size();
  const MutableBytes out = output_.room(whole).first(whole);

  const MutableBytes front = out.first(kLengthSize + kPaddingLengthSize + head.size());
  store_u32(front.data(), static_cast<std::uint32_t>(plain - kLengthSize));
  front[kLengthSize] = static_cast<std::uint8_t>(padding);
  std::memcpy(front.data() + kLengthSize + kPaddingLengthSize, head.data(), head.size());
  const MutableBytes back = out.subspan(plain - padding, padding);
  fill_padding(back);
  const std::array<ByteView, 3> parts = {front, body, back};
  sealer_->seal(sequence_, parts, out);

  output_.commit(whole);
  ++sequence_;
  ++packets_under_key_;
  bytes_under_key_ += whole;
}

void PacketWriter::write_raw(ByteView bytes) {
  const MutableBytes room = output_.room(bytes.size());
  std::copy(bytes.begin(), bytes.end(), room.begin());
  output_.commit(bytes.size());
}

std::size_t PacketWriter::overhead() const {
  return kLengthSize + kPaddingLengthSize + 2 * sealer_->block_size() + sealer_->tag_size();
}

void PacketWriter::use(std::unique_ptr<crypto::Sealer> sealer, bool reset_sequence) {
  sealer_ = std::move(sealer);
  if (reset_sequence) sequence_ = 0;
  packets_under_key_ = 0;
  bytes_under_key_ = 0;
}

void PacketWriter::fill_padding(MutableBytes padding) {
  if (padding_used_ + padding.size() > padding_pool_.size()) {
    random_.fill(padding_pool_);
    padding_used_ = 0;
  }
  std::memcpy(padding.data(), padding_pool_.data() + padding_used_, padding.size());
  padding_used_ += padding.size();
}

}  // namespace culvert::ssh
