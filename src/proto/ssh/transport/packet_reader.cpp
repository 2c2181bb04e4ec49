// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/transport/packet_reader.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/wire.hpp"
#include "proto/ssh/wire/messages.hpp"

namespace culvert::ssh {
namespace {

constexpr std::size_t kLengthSize = 4;
constexpr std::uint32_t kMinPadding = 4;

std::unexpected<Error> bad_packet(std::string what) {
  return fail(Errc::protocol, std::move(what), static_cast<std::int64_t>(DisconnectReason::protocol_error));
}

}  // namespace

MutableBytes PacketReader::prepare(std::size_t n) { return buffer_.room(n); }

Result<std::optional<ByteView>> PacketReader::next_packet() {
  MutableBytes bytes = buffer_.mutable_view();
  const std::size_t head = opener_->head_size();
  if (bytes.size() < head) return std::nullopt;
  if (!length_) {
    const std::uint32_t length = opener_->length(sequence_, bytes.first(head));
    const std::size_t padded = length + (opener_->length_is_apart() ? 0 : kLengthSize);
    if (length > max_packet_length_ || length < kMinPadding + 1 || padded % opener_->block_size() != 0 ||
        kLengthSize + length < head) {
      // A peer that decrypts to nonsense here usually uses other keys; there is nothing better to say.
      return bad_packet(fmt::format("bad packet length {}", length));
    }
    length_ = length;
  }
  const std::size_t whole = kLengthSize + *length_ + opener_->tag_size();
  if (bytes.size() < whole) return std::nullopt;

  const MutableBytes packet = bytes.first(whole);
  if (auto opened = opener_->open(sequence_, packet); !opened) {
    return fail(Errc::protocol, "corrupted packet: message authentication code does not fit",
                static_cast<std::int64_t>(DisconnectReason::mac_error));
  }
  const std::uint32_t padding = packet[kLengthSize];
  if (padding < kMinPadding || padding + 1 >= *length_)
    return bad_packet(fmt::format("bad padding length {}", padding));

  bytes_under_key_ += whole;
  ++packets_under_key_;
  if (++sequence_ == 0) wrapped_ = true;
  const ByteView payload = packet.subspan(kLengthSize + 1, *length_ - padding - 1);
  length_.reset();
  buffer_.consume(whole);
  return payload;
}

void PacketReader::use(std::unique_ptr<crypto::Opener> opener, bool reset_sequence) {
  opener_ = std::move(opener);
  if (reset_sequence) sequence_ = 0;
  packets_under_key_ = 0;
  bytes_under_key_ = 0;
}

}  // namespace culvert::ssh
