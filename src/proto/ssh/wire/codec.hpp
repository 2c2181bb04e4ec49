// SPDX-License-Identifier: Apache-2.0
// Encodes and decodes messages from their one list of fields (wire/messages.hpp). Decoded views live as long
// as the payload.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <tuple>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/wire.hpp"

namespace culvert::ssh {

/// RFC 4251 section 5 "name-list": comma-separated names, kept as they came. See wire/name_list.hpp for its
/// content.
struct NameList {
  std::string_view text;
};

/// A non-negative number of at most 16384 bits: its big-endian magnitude.
struct Mpint {
  ByteView magnitude;
};

/// Everything up to the end of the message: what the message's type or method defines.
struct Rest {
  ByteView bytes;
};

using Cookie = std::array<std::uint8_t, 16>;

namespace detail {

inline void put(Writer& w, std::uint8_t value) { w.byte(value); }
inline void put(Writer& w, bool value) { w.boolean(value); }
inline void put(Writer& w, std::uint32_t value) { w.u32(value); }
inline void put(Writer& w, std::uint64_t value) { w.u64(value); }
inline void put(Writer& w, std::string_view value) { w.text(value); }
inline void put(Writer& w, ByteView value) { w.string(value); }
inline void put(Writer& w, NameList value) { w.text(value.text); }
inline void put(Writer& w, Mpint value) { w.mpint(value.magnitude); }
inline void put(Writer& w, Rest value) { w.bytes(value.bytes); }
inline void put(Writer& w, const Cookie& value) { w.bytes(value); }

template <class T>
Result<void> assign(T& to, Result<T> taken) {
  to = TRY(std::move(taken));
  return {};
}
inline Result<void> take(Reader& r, std::uint8_t& to) { return assign(to, r.byte()); }
inline Result<void> take(Reader& r, bool& to) { return assign(to, r.boolean()); }
inline Result<void> take(Reader& r, std::uint32_t& to) { return assign(to, r.u32()); }
inline Result<void> take(Reader& r, std::uint64_t& to) { return assign(to, r.u64()); }
inline Result<void> take(Reader& r, std::string_view& to) { return assign(to, r.text()); }
inline Result<void> take(Reader& r, ByteView& to) { return assign(to, r.string()); }
inline Result<void> take(Reader& r, NameList& to) { return assign(to.text, r.text()); }
inline Result<void> take(Reader& r, Mpint& to) { return assign(to.magnitude, r.mpint()); }
inline Result<void> take(Reader& r, Rest& to) {
  to.bytes = r.rest();
  return {};
}
inline Result<void> take(Reader& r, Cookie& to) {
  const ByteView bytes = TRY(r.bytes(to.size()));
  std::copy(bytes.begin(), bytes.end(), to.begin());
  return {};
}

}  // namespace detail

/// Appends the fields alone: for structures inside a message (the type-specific part of an open, say).
template <class Fields>
void encode_fields(Bytes& out, const Fields& value) {
  Writer writer(out);
  std::apply([&](auto... field) { (detail::put(writer, value.*field), ...); }, Fields::fields());
}

/// Appends the message: its number, then its fields.
template <class Message>
void encode(Bytes& out, const Message& message) {
  out.push_back(Message::kNumber);
  encode_fields(out, message);
}

template <class Message>
[[nodiscard]] Bytes encoded(const Message& message) {
  Bytes out;
  encode(out, message);
  return out;
}

/// The fields of a structure without a number; every byte must be used.
template <class Fields>
[[nodiscard]] Result<Fields> decode_fields(ByteView bytes) {
  Reader reader(bytes);
  Fields value{};
  Result<void> state;
  const auto step = [&](auto field) {
    state = detail::take(reader, value.*field);
    return state.has_value();
  };
  std::apply([&](auto... field) { static_cast<void>((step(field) && ...)); }, Fields::fields());
  if (!state) return std::unexpected(std::move(state).error());
  TRY(reader.end());
  return value;
}

/// A whole payload. Errc::malformed if its number is another, it is too short, or too long.
template <class Message>
[[nodiscard]] Result<Message> decode(ByteView payload) {
  if (payload.empty() || payload[0] != Message::kNumber)
    return fail(Errc::malformed, "message of another kind");
  return decode_fields<Message>(payload.subspan(1));
}

}  // namespace culvert::ssh
