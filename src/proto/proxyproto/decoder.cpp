// SPDX-License-Identifier: Apache-2.0
#include "proto/proxyproto/decoder.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "base/crc32c.hpp"
#include "base/wire.hpp"

namespace culvert::proxyproto {
namespace {

constexpr std::string_view kV1 = "PROXY ";
constexpr std::size_t kV2Fixed = 16;  // the signature, version and command, family, length

bool begins_alike(ByteView bytes, ByteView with) {
  const std::size_t size = std::min(bytes.size(), with.size());
  return std::ranges::equal(bytes.first(size), with.first(size));
}

// ---- version 1, section 2.1

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), port);
  const bool has_zeros = text.size() > 1 && text.starts_with('0');
  if (error != std::errc() || end != text.end() || has_zeros) return std::nullopt;
  return port;
}

std::optional<InetAddresses> parse_inet(std::string_view text, bool is_v4) {
  std::array<std::string_view, 4> fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::size_t space = text.find(' ');
    if ((space == text.npos) != (i == fields.size() - 1)) return std::nullopt;
    fields[i] = text.substr(0, space);
    if (space != text.npos) text.remove_prefix(space + 1);
  }
  const auto source = IpAddress::parse(fields[0]), destination = IpAddress::parse(fields[1]);
  const auto source_port = parse_port(fields[2]), destination_port = parse_port(fields[3]);
  if (!source || !destination || !source_port || !destination_port) return std::nullopt;
  if (source->is_v4() != is_v4 || destination->is_v4() != is_v4) return std::nullopt;
  return InetAddresses{*source, *source_port, *destination, *destination_port};
}

// `line`: without its end.
std::optional<Header> parse_line(std::string_view line) {
  line.remove_prefix(kV1.size());
  Header header;
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return header;
  const bool is_v4 = line.starts_with("TCP4 ");
  if (!is_v4 && !line.starts_with("TCP6 ")) return std::nullopt;
  const auto addresses = parse_inet(line.substr(5), is_v4);
  if (!addresses) return std::nullopt;
  header.addresses = *addresses;
  return header;
}

// ---- version 2, section 2.2

Result<InetAddresses> read_inet(Reader& reader, std::size_t size) {
  InetAddresses both;
  both.source = *IpAddress::from_bytes(TRY(reader.bytes(size)));
  both.destination = *IpAddress::from_bytes(TRY(reader.bytes(size)));
  both.source_port = TRY(reader.u16());
  both.destination_port = TRY(reader.u16());
  return both;
}

Result<std::string> read_path(Reader& reader) {
  const std::string_view field = as_text(TRY(reader.bytes(kMostPath)));
  if (!field.starts_with('\0')) return std::string(field.substr(0, field.find('\0')));
  const std::size_t last = field.find_last_not_of('\0');
  return last == field.npos ? std::string() : "@" + std::string(field.substr(1, last));
}

// The values behind the addresses. `all`: the header, in which `values` is.
bool are_values_right(ByteView all, ByteView values) {
  constexpr std::uint8_t kChecksum = 0x03;
  constexpr std::array<std::uint8_t, 4> kZeros = {};
  Reader reader(values);
  bool has_checksum = false;
  while (reader.remaining() > 0) {
    const auto type = reader.byte();
    const auto length = reader.u16();
    const auto value = length ? reader.bytes(*length) : std::unexpected(length.error());
    if (!value) return false;
    if (*type != kChecksum) continue;
    if (value->size() != kZeros.size() || std::exchange(has_checksum, true)) return false;
    const ByteView before = all.first(all.size() - reader.remaining() - kZeros.size());
    const ByteView behind = all.last(reader.remaining());
    if (crc32c({before, kZeros, behind}) != load_u32(value->data())) return false;
  }
  return true;
}

}  // namespace

std::size_t Decoder::feed(ByteView bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && state_ == State::reading) {
    const ByteView piece = bytes.subspan(taken).first(std::min(wanted(), bytes.size() - taken));
    bytes_.insert(bytes_.end(), piece.begin(), piece.end());
    taken += piece.size();
    look();
  }
  return taken;
}

// Never more than surely belongs to the header: where a line ends shows when its end is there.
std::size_t Decoder::wanted() const {
  if (bytes_.empty() || bytes_[0] != kSignature[0]) return 1;
  return (total_ == 0 ? kV2Fixed : total_) - bytes_.size();
}

void Decoder::look() {
  if (begins_alike(bytes_, as_bytes(kV1))) return look_at_line();
  if (begins_alike(bytes_, kSignature)) return look_at_block();
  fail("not a PROXY protocol header");
}

void Decoder::look_at_line() {
  if (bytes_.back() != '\n') {
    if (bytes_.size() == kMostV1) fail("the line of a PROXY protocol header has no end");
    return;
  }
  const std::string_view line = as_text(bytes_);
  auto header = line.ends_with("\r\n") ? parse_line(line.substr(0, line.size() - 2)) : std::nullopt;
  if (!header) return fail("a malformed PROXY protocol line");
  header_ = *std::move(header);
  finish();
}

void Decoder::look_at_block() {
  if (bytes_.size() < kV2Fixed) return;
  Reader reader(bytes_);
  (void)reader.bytes(kSignature.size());
  const std::uint8_t command = *reader.byte();
  const std::uint8_t family = *reader.byte();
  total_ = kV2Fixed + *reader.u16();
  if (command != 0x20 && command != 0x21) return fail("unknown version or command of the PROXY protocol");
  if (total_ > kMostV2) return fail("a PROXY protocol header that is too long");
  if (bytes_.size() < total_) return;
  if (command == 0x20) {
    header_.command = Header::Command::local;
    return finish();
  }
  const unsigned addresses = family >> 4, transport = family & 0x0F;
  if (addresses > 3 || transport > 2) return fail("unknown address family of the PROXY protocol");
  if (addresses == 0 || transport == 0) return finish();  // what is there means nothing to anybody
  header_.transport = transport == 1 ? Header::Transport::stream : Header::Transport::datagram;
  if (addresses == 3) {
    auto source = read_path(reader), destination = read_path(reader);
    if (!source || !destination) return fail("a PROXY protocol header without its addresses");
    header_.addresses = UnixAddresses{*std::move(source), *std::move(destination)};
  } else {
    const auto both = read_inet(reader, addresses == 1 ? 4 : 16);
    if (!both) return fail("a PROXY protocol header without its addresses");
    header_.addresses = *both;
  }
  if (!are_values_right(bytes_, reader.rest())) return fail("a damaged PROXY protocol header");
  finish();
}

void Decoder::fail(std::string_view why) {
  state_ = State::malformed;
  why_ = why;
  bytes_ = Bytes();
}

void Decoder::finish() {
  state_ = State::done;
  bytes_ = Bytes();
}

}  // namespace culvert::proxyproto
