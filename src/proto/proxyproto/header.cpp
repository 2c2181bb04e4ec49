// SPDX-License-Identifier: Apache-2.0
#include "proto/proxyproto/header.hpp"

#include <string_view>

#include <fmt/format.h>

#include "base/wire.hpp"

namespace culvert::proxyproto {
namespace {

constexpr std::uint8_t kVersion2 = 0x20;

IpAddress as_v6(const IpAddress& address) {
  if (!address.is_v4()) return address;
  Bytes mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  Writer(mapped).bytes(address.bytes());
  return *IpAddress::from_bytes(mapped);
}

InetAddresses of_one_family(InetAddresses both) {
  if (both.source.is_v4() == both.destination.is_v4()) return both;
  both.source = as_v6(both.source);
  both.destination = as_v6(both.destination);
  return both;
}

// Section 2.1 knows groups of hexadecimal digits alone, where the usual text has the IPv4 address in dots.
std::string v1_text(const IpAddress& address) {
  const std::string text = address.text();
  if (address.is_v4() || !text.contains('.')) return text;
  const ByteView last = address.bytes().last(4);
  return fmt::format("::ffff:{:x}:{:x}", last[0] << 8 | last[1], last[2] << 8 | last[3]);
}

std::uint8_t transport_bits(Header::Transport transport) {
  return transport == Header::Transport::stream ? 1 : 2;
}

void write_path(Writer& writer, std::string_view path) {
  Bytes field = copy_of(as_bytes(path.size() > kMostPath ? "" : path));
  if (path.starts_with('@') && path != "@") field[0] = 0;
  field.resize(kMostPath);
  writer.bytes(field);
}

}  // namespace

Bytes encode_v1(const Header& header) {
  const auto* given = std::get_if<InetAddresses>(&header.addresses);
  const bool is_stream = header.transport == Header::Transport::stream;
  if (given == nullptr || !is_stream || header.command == Header::Command::local)
    return copy_of(as_bytes("PROXY UNKNOWN\r\n"));
  const InetAddresses both = of_one_family(*given);
  return copy_of(as_bytes(fmt::format("PROXY {} {} {} {} {}\r\n", both.source.is_v4() ? "TCP4" : "TCP6",
                                      v1_text(both.source), v1_text(both.destination), both.source_port,
                                      both.destination_port)));
}

Bytes encode_v2(const Header& header) {
  Bytes out;
  Writer writer(out);
  writer.bytes(kSignature);
  if (header.command == Header::Command::local) {
    writer.byte(kVersion2).byte(0).u16(0);
    return out;
  }
  writer.byte(kVersion2 | 1);
  if (const auto* given = std::get_if<InetAddresses>(&header.addresses)) {
    const InetAddresses both = of_one_family(*given);
    const std::uint8_t family = both.source.is_v4() ? 0x10 : 0x20;
    writer.byte(family | transport_bits(header.transport));
    writer.u16(static_cast<std::uint16_t>(2 * both.source.bytes().size() + 4));
    writer.bytes(both.source.bytes()).bytes(both.destination.bytes());
    writer.u16(both.source_port).u16(both.destination_port);
  } else if (const auto* paths = std::get_if<UnixAddresses>(&header.addresses)) {
    writer.byte(0x30 | transport_bits(header.transport)).u16(2 * kMostPath);
    write_path(writer, paths->source);
    write_path(writer, paths->destination);
  } else {
    writer.byte(0).u16(0);
  }
  return out;
}

}  // namespace culvert::proxyproto
