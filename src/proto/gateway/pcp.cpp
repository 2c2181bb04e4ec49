// SPDX-License-Identifier: Apache-2.0
#include "proto/gateway/pcp.hpp"

#include <algorithm>

#include "base/wire.hpp"

namespace culvert::gateway::pcp {
namespace {

constexpr std::uint8_t kVersion = 2;
constexpr std::uint8_t kAnswer = 0x80;
constexpr std::uint8_t kAnnounce = 0, kMap = 1;
constexpr std::uint8_t kLastStatus = static_cast<std::uint8_t>(Status::too_many_peers);

// Every address has 16 bytes; one of IPv4 is mapped into IPv6 (section 5).
void write_address(Writer& out, const IpAddress& address) {
  if (address.is_v4()) {
    out.u64(0).u16(0).u16(0xFFFF);
  }
  out.bytes(address.bytes());
}

IpAddress address_from(ByteView bytes) {
  const IpAddress address = *IpAddress::from_bytes(bytes);
  const bool is_mapped = std::ranges::all_of(bytes.first(10), [](std::uint8_t byte) { return byte == 0; }) &&
                         bytes[10] == 0xFF && bytes[11] == 0xFF;
  return is_mapped ? *IpAddress::from_bytes(bytes.subspan(12)) : address;
}

std::unexpected<Error> malformed(const char* what) { return fail(Errc::malformed, what); }

// Section 11.1.
Result<void> read_map(Reader& in, Answer& answer) {
  answer.about = Answer::About::mapping;
  Nonce& nonce = answer.nonce.emplace();
  std::ranges::copy(TRY(in.bytes(nonce.size())), nonce.begin());
  const std::uint8_t protocol = TRY(in.byte());
  if (protocol != static_cast<std::uint8_t>(Protocol::tcp) &&
      protocol != static_cast<std::uint8_t>(Protocol::udp)) {
    return malformed("PCP: a mapping of a protocol that we did not ask for");
  }
  answer.protocol = static_cast<Protocol>(protocol);
  TRY(in.bytes(3));
  answer.inside = TRY(in.u16());
  answer.outside = TRY(in.u16());
  answer.outside_address = address_from(TRY(in.bytes(16)));
  return {};
}

}  // namespace

Bytes encode(const MapRequest& request, const IpAddress& here) {
  Bytes datagram;
  Writer out(datagram);
  out.byte(kVersion).byte(kMap).u16(0).u32(request.lifetime);
  write_address(out, here);
  out.bytes(request.nonce).byte(static_cast<std::uint8_t>(request.protocol)).byte(0).u16(0);
  out.u16(request.inside).u16(request.outside);
  // "No preference" is the unspecified address of the family that is wanted (section 11.1).
  const bool has_wish = request.outside_address.is_v4() == here.is_v4();
  write_address(out, has_wish       ? request.outside_address
                     : here.is_v4() ? IpAddress()
                                    : *IpAddress::parse("::"));
  return datagram;
}

Result<Answer> decode(ByteView datagram) {
  Reader in(datagram);
  const std::uint8_t version = TRY(in.byte());
  const std::uint8_t opcode = TRY(in.byte());
  if ((opcode & kAnswer) == 0) return malformed("PCP: not an answer");
  const std::uint8_t reserved = TRY(in.byte());
  const std::uint8_t result = TRY(in.byte());
  Answer answer;
  answer.status = result <= kLastStatus ? static_cast<Status>(result) : Status::other;
  if (version != kVersion) {
    // Of a router that knows other versions only (section 9), or NAT-PMP only, whose result has two bytes.
    if (answer.status != Status::wrong_version || (version == 0 && reserved != 0))
      return malformed("PCP: another version");
    return answer;
  }
  if (datagram.size() > kMost || datagram.size() % 4 != 0)
    return malformed("PCP: not a length of a datagram");
  answer.lifetime = TRY(in.u32());
  answer.epoch = TRY(in.u32());
  TRY(in.bytes(12));
  if (answer.status == Status::wrong_version) return answer;
  switch (opcode & ~kAnswer) {
    case kAnnounce:
      answer.about = Answer::About::announcement;
      return answer;
    case kMap:
      TRY(read_map(in, answer));
      return answer;  // options that we did not ask for may follow
    default:
      return malformed("PCP: an answer to what we did not ask");
  }
}

}  // namespace culvert::gateway::pcp
