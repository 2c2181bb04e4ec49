// SPDX-License-Identifier: Apache-2.0
#include "base/wire.hpp"

namespace culvert {
namespace {

constexpr std::size_t kMaxMpintBytes = 16384 / 8;

std::unexpected<Error> too_short() { return fail(Errc::malformed, "message ends too early"); }

}  // namespace

Result<ByteView> Reader::bytes(std::size_t count) {
  if (count > rest_.size()) return too_short();
  const ByteView taken = rest_.first(count);
  rest_ = rest_.subspan(count);
  return taken;
}

Result<std::uint8_t> Reader::byte() { return TRY(bytes(1))[0]; }

Result<bool> Reader::boolean() { return TRY(byte()) != 0; }

Result<std::uint16_t> Reader::u16() {
  const ByteView taken = TRY(bytes(2));
  return static_cast<std::uint16_t>(taken[0] << 8 | taken[1]);
}

Result<std::uint32_t> Reader::u32() { return load_u32(TRY(bytes(4)).data()); }

Result<std::uint64_t> Reader::u64() {
  const ByteView taken = TRY(bytes(8));
  return static_cast<std::uint64_t>(load_u32(taken.data())) << 32 | load_u32(taken.data() + 4);
}

Result<ByteView> Reader::string() {
  const ByteView before = rest_;
  const std::uint32_t length = TRY(u32());
  if (length > rest_.size()) {
    rest_ = before;
    return too_short();
  }
  return bytes(length);
}

Result<std::string_view> Reader::text() { return as_text(TRY(string())); }

Result<ByteView> Reader::mpint() {
  const ByteView before = rest_;
  ByteView value = TRY(string());
  if (!value.empty() && (value[0] & 0x80) != 0) {
    rest_ = before;
    return fail(Errc::malformed, "negative number where only a positive one makes sense");
  }
  while (!value.empty() && value[0] == 0) value = value.subspan(1);
  if (value.size() > kMaxMpintBytes) {
    rest_ = before;
    return fail(Errc::malformed, "number of more than 16384 bits");
  }
  return value;
}

ByteView Reader::rest() {
  const ByteView all = rest_;
  rest_ = {};
  return all;
}

Result<void> Reader::end() const {
  if (!rest_.empty()) return fail(Errc::malformed, "message has extra bytes at its end");
  return {};
}

Writer& Writer::byte(std::uint8_t value) {
  out_.push_back(value);
  return *this;
}

Writer& Writer::u16(std::uint16_t value) {
  return byte(static_cast<std::uint8_t>(value >> 8)).byte(static_cast<std::uint8_t>(value));
}

Writer& Writer::u32(std::uint32_t value) {
  std::uint8_t encoded[4];
  store_u32(encoded, value);
  return bytes(encoded);
}

Writer& Writer::u64(std::uint64_t value) {
  return u32(static_cast<std::uint32_t>(value >> 32)).u32(static_cast<std::uint32_t>(value));
}

Writer& Writer::bytes(ByteView value) {
  out_.insert(out_.end(), value.begin(), value.end());
  return *this;
}

Writer& Writer::string(ByteView value) { return u32(static_cast<std::uint32_t>(value.size())).bytes(value); }

Writer& Writer::mpint(ByteView magnitude) {
  while (!magnitude.empty() && magnitude[0] == 0) magnitude = magnitude.subspan(1);
  const bool needs_zero = !magnitude.empty() && (magnitude[0] & 0x80) != 0;
  u32(static_cast<std::uint32_t>(magnitude.size() + (needs_zero ? 1 : 0)));
  if (needs_zero) byte(0);
  return bytes(magnitude);
}

}  // namespace culvert
