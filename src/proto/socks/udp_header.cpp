// SPDX-License-Identifier: Apache-2.0
#include "proto/socks/udp_header.hpp"

#include <algorithm>

#include "base/wire.hpp"

namespace culvert::socks {
namespace {

constexpr std::uint8_t kIpv4 = 1;
constexpr std::uint8_t kName = 3;
constexpr std::uint8_t kIpv6 = 4;

template <class Ip>
Result<Ip> read_ip(Reader& reader) {
  Ip address;
  std::ranges::copy(TRY(reader.bytes(address.size())), address.begin());
  return address;
}

}  // namespace

// RSV (2), FRAG (1), ATYP (1), DST.ADDR, DST.PORT (2), DATA
Result<UdpRequest> read_udp_request(ByteView datagram) {
  Reader reader(datagram);
  (void)TRY(reader.bytes(2));  // reserved: what is in it says nothing
  if (TRY(reader.byte()) != 0) return fail(Errc::unsupported, "a fragment of a datagram");
  UdpRequest request;
  switch (TRY(reader.byte())) {
    case kIpv4:
      request.host = TRY(read_ip<Ipv4>(reader));
      break;
    case kIpv6:
      request.host = TRY(read_ip<Ipv6>(reader));
      break;
    case kName: {
      const std::string_view name = as_text(TRY(reader.bytes(TRY(reader.byte()))));
      if (!is_host(name)) return fail(Errc::malformed, "the name of a datagram's destination is none");
      request.host = name;
      break;
    }
    default:
      return fail(Errc::malformed, "a type of address that is not known");
  }
  const ByteView port = TRY(reader.bytes(2));
  request.port = static_cast<std::uint16_t>(port[0] << 8 | port[1]);
  request.data = reader.rest();
  return request;
}

UdpHeader::UdpHeader(const Ipv4& from, std::uint16_t port) { put(kIpv4, from, port); }

UdpHeader::UdpHeader(const Ipv6& from, std::uint16_t port) { put(kIpv6, from, port); }

void UdpHeader::put(std::uint8_t type, ByteView address, std::uint16_t port) {
  bytes_[3] = type;
  auto at = std::ranges::copy(address, bytes_.begin() + 4).out;
  *at++ = static_cast<std::uint8_t>(port >> 8);
  *at++ = static_cast<std::uint8_t>(port);
  size_ = static_cast<std::size_t>(at - bytes_.begin());
}

}  // namespace culvert::socks
