// SPDX-License-Identifier: Apache-2.0
// The data types of RFC 4251 section 5, and the integers of other protocols. Reader and Writer are the only
// code that indexes raw bytes of messages and key blobs. They live in base, not in proto/ssh/wire, because
// keys (crypto) and their files are made of the same types.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert {

/// Takes values from the front of a view. Never reads past its end: a value that is not all there is
/// Errc::malformed, and nothing is taken. Views that it returns live as long as the bytes given to the
/// constructor.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  [[nodiscard]] Result<std::uint8_t> byte();
  /// RFC 4251: all non-zero values are true.
  [[nodiscard]] Result<bool> boolean();
  [[nodiscard]] Result<std::uint16_t> u16();
  [[nodiscard]] Result<std::uint32_t> u32();
  [[nodiscard]] Result<std::uint64_t> u64();
  /// `count` bytes as they are.
  [[nodiscard]] Result<ByteView> bytes(std::size_t count);
  /// A "string": four bytes of length, then the content.
  [[nodiscard]] Result<ByteView> string();
  /// A "string", seen as text. No character set is checked.
  [[nodiscard]] Result<std::string_view> text();
  /// A non-negative "mpint" of at most 16384 bits; its magnitude without leading zero bytes. Negative is
  /// malformed.
  [[nodiscard]] Result<ByteView> mpint();
  /// All that is left.
  [[nodiscard]] ByteView rest();
  /// Malformed if anything is left: closes every decode.
  [[nodiscard]] Result<void> end() const;

  [[nodiscard]] std::size_t remaining() const { return rest_.size(); }

 private:
  ByteView rest_;
};

/// Appends values to a byte vector that it refers to and does not own.
class Writer {
 public:
  explicit Writer(Bytes& out) : out_(out) {}

  Writer& byte(std::uint8_t value);
  Writer& boolean(bool value) { return byte(value ? 1 : 0); }
  Writer& u16(std::uint16_t value);
  Writer& u32(std::uint32_t value);
  Writer& u64(std::uint64_t value);
  Writer& bytes(ByteView value);
  Writer& string(ByteView value);
  Writer& text(std::string_view value) { return string(as_bytes(value)); }
  /// `magnitude`: big-endian, non-negative; leading zero bytes are allowed and left out.
  Writer& mpint(ByteView magnitude);

 private:
  Bytes& out_;
};

/// Big-endian integers at fixed places, for the packet framing (RFC 4253 section 6) that cannot go through a
/// Writer.
inline void store_u32(std::uint8_t* to, std::uint32_t value) {
  to[0] = static_cast<std::uint8_t>(value >> 24);
  to[1] = static_cast<std::uint8_t>(value >> 16);
  to[2] = static_cast<std::uint8_t>(value >> 8);
  to[3] = static_cast<std::uint8_t>(value);
}
[[nodiscard]] inline std::uint32_t load_u32(const std::uint8_t* from) {
  return static_cast<std::uint32_t>(from[0]) << 24 | static_cast<std::uint32_t>(from[1]) << 16 |
         static_cast<std::uint32_t>(from[2]) << 8 | static_cast<std::uint32_t>(from[3]);
}

}  // namespace culvert
