// SPDX-License-Identifier: Apache-2.0
#include "proto/tls/client_hello.hpp"

#include <algorithm>
#include <utility>

#include "base/ip_address.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"

namespace culvert::tls {
namespace {

constexpr std::uint8_t kAlertRecord = 21, kHandshakeRecord = 22;
constexpr std::size_t kRecordHead = 5;  // RFC 8446 section 5.1: type, version, length
constexpr std::size_t kMostFragment = 1 << 14;
constexpr std::uint8_t kClientHello = 1;  // section 4
constexpr std::size_t kMessageHead = 4;   // type, length of three bytes
constexpr std::uint16_t kServerName = 0;  // RFC 6066 section 1.1
constexpr std::uint8_t kHostName = 0;     // section 3

Result<ByteView> short_vector(Reader& reader) { return reader.bytes(TRY(reader.byte())); }
Result<ByteView> vector(Reader& reader) { return reader.bytes(TRY(reader.u16())); }

// RFC 6066 section 3: names of other types than the one there is have never been defined, and the one is not
// empty.
Result<std::string> read_server_name(ByteView extension) {
  Reader reader(extension);
  Reader list(TRY(vector(reader)));
  TRY(reader.end());
  const std::uint8_t type = TRY(list.byte());
  std::string name = lower(as_text(TRY(vector(list))));
  TRY(list.end());
  if (type != kHostName || name.empty()) return fail(Errc::malformed, "no name of a host");
  return name;
}

// RFC 8446 section 4.1.2.
Result<std::optional<std::string>> read_hello(ByteView body) {
  Reader reader(body);
  (void)TRY(reader.u16());          // legacy_version
  (void)TRY(reader.bytes(32));      // random
  (void)TRY(short_vector(reader));  // legacy_session_id
  (void)TRY(vector(reader));        // cipher_suites
  (void)TRY(short_vector(reader));  // legacy_compression_methods
  std::optional<std::string> name;
  if (reader.remaining() == 0) return name;  // TLS 1.2 and before have clients without extensions
  Reader extensions(TRY(vector(reader)));
  TRY(reader.end());
  while (extensions.remaining() > 0) {
    const std::uint16_t type = TRY(extensions.u16());
    const ByteView content = TRY(vector(extensions));
    if (type != kServerName) continue;
    if (name) return fail(Errc::malformed, "two names");
    name = TRY(read_server_name(content));
  }
  return name;
}

}  // namespace

void ClientHello::feed(ByteView bytes) {
  while (!bytes.empty() && state_ == State::reading) {
    const bool in_head = fragment_ == 0;
    const std::size_t size = std::min(in_head ? kRecordHead - head_.size() : fragment_, bytes.size());
    total_ += size;
    if (total_ > kMost) return end(State::malformed, "a TLS ClientHello that is too long");
    Bytes& into = in_head ? head_ : message_;
    into.insert(into.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    bytes = bytes.subspan(size);
    if (in_head) {
      begin_record();
    } else {
      fragment_ -= size;
      look();
    }
  }
}

// The first byte that differs tells: somebody who speaks another protocol may wait for an answer.
void ClientHello::begin_record() {
  const bool is_handshake = head_[0] == kHandshakeRecord && (head_.size() < 2 || head_[1] == 3);
  if (!is_handshake)
    return end(total_ == head_.size() ? State::no_tls : State::malformed, "no TLS handshake");
  if (head_.size() < kRecordHead) return;
  fragment_ = static_cast<std::size_t>(head_[3] << 8 | head_[4]);
  // An empty fragment is forbidden here (section 5.1), and would let a client send records without an end.
  if (fragment_ == 0 || fragment_ > kMostFragment)
    return end(State::malformed, "a TLS record of a forbidden length");
  head_.clear();
}

void ClientHello::look() {
  if (message_[0] != kClientHello) return end(State::malformed, "no TLS ClientHello");
  if (message_.size() < kMessageHead) return;
  const std::size_t length = load_u32(message_.data()) & 0xFFFFFF;
  if (length > kMost) return end(State::malformed, "a TLS ClientHello that is too long");
  if (message_.size() < kMessageHead + length) return;
  auto name = read_hello(ByteView(message_).subspan(kMessageHead, length));
  if (!name) return end(State::malformed, "a malformed TLS ClientHello");
  const bool is_none = *name && !is_server_name(**name);
  (is_none ? no_server_name_ : server_name_) = *std::move(name);
  end(State::done);
}

void ClientHello::end(State state, std::string_view why) {
  state_ = state;
  why_ = why;
  message_ = Bytes();
}

std::array<std::uint8_t, 7> fatal_alert(Alert alert) {
  constexpr std::uint8_t kFatal = 2;
  return {kAlertRecord, 3, 1, 0, 2, kFatal, static_cast<std::uint8_t>(alert)};
}

bool is_server_name(std::string_view text) {
  constexpr std::size_t kMostName = 253, kMostLabel = 63;
  if (text.empty() || text.size() > kMostName || IpAddress::parse(text)) return false;
  std::size_t label = 0;
  for (const char c : text) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      continue;
    }
    const bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!fits || ++label > kMostLabel) return false;
  }
  return label > 0;
}

}  // namespace culvert::tls
