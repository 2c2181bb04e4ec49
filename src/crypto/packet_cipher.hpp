// SPDX-License-Identifier: Apache-2.0
// What protects SSH packets (RFC 4253 section 6): one Sealer for the packets we send, one Opener for those we
// receive. Each is made once per key and reused for every packet; nothing here allocates per packet. Not
// thread-safe.
//
// A packet on the wire:  uint32 packet_length | byte padding_length | payload | padding | tag
// `packet_length` counts what lies between itself and the tag. `sequence` is the packet's sequence number.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert::crypto {

/// The most pieces that `Sealer::seal` takes.
inline constexpr std::size_t kMaxSealParts = 4;

class Sealer {
 public:
  virtual ~Sealer() = default;

  /// The padded part is a multiple of this many bytes (at least 8).
  [[nodiscard]] virtual std::size_t block_size() const = 0;
  /// True if packet_length does not count as part of the padded part (AEAD ciphers and -etm@ MACs).
  [[nodiscard]] virtual bool length_is_apart() const = 0;
  /// Bytes of tag behind the packet.
  [[nodiscard]] virtual std::size_t tag_size() const = 0;

  /// Encrypts and authenticates one packet in one pass. `parts`, put one after the other, are the plain
  /// packet from packet_length to the end of the padding; the first holds at least packet_length. `out` has
  /// exactly the size of all parts plus tag_size(). A part may lie exactly where its output goes; otherwise
  /// it must not overlap `out`.
  virtual void seal(std::uint32_t sequence, std::span<const ByteView> parts, MutableBytes out) = 0;
};

class Opener {
 public:
  virtual ~Opener() = default;

  [[nodiscard]] virtual std::size_t block_size() const = 0;
  [[nodiscard]] virtual bool length_is_apart() const = 0;
  [[nodiscard]] virtual std::size_t tag_size() const = 0;
  /// Bytes from the start of a packet that `length` needs.
  [[nodiscard]] virtual std::size_t head_size() const = 0;

  /// packet_length, not yet verified in any way. `head`: the packet's first head_size() bytes. Call it
  /// exactly once per packet, before `open`: a CTR cipher with a plain MAC decrypts `head` in place.
  [[nodiscard]] virtual std::uint32_t length(std::uint32_t sequence, MutableBytes head) = 0;

  /// Verifies and decrypts a whole packet in place (from packet_length to the end of the tag). Afterwards
  /// everything but the tag is plain text, packet_length included. Errc::verification if the tag does not
  /// fit: nothing in `packet` may be looked at then.
  [[nodiscard]] virtual Result<void> open(std::uint32_t sequence, MutableBytes packet) = 0;
};

/// "none": no encryption, no MAC, blocks of 8. What a connection starts with.
[[nodiscard]] std::unique_ptr<Sealer> make_plain_sealer();
[[nodiscard]] std::unique_ptr<Opener> make_plain_opener();

}  // namespace culvert::crypto
