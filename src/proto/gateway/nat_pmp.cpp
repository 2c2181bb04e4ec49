// SPDX-License-Identifier: Apache-2.0
#include "proto/gateway/nat_pmp.hpp"

#include "base/wire.hpp"

namespace culvert::gateway::nat_pmp {
namespace {

constexpr std::uint8_t kVersion = 0;
constexpr std::uint8_t kAnswer = 0x80;
constexpr std::uint8_t kAddress = 0, kMapUdp = 1, kMapTcp = 2;

// Section 3.5.
Status status_from(std::uint16_t result) {
  switch (result) {
    case 0:
      return Status::success;
    case 1:
      return Status::wrong_version;
    case 2:
      return Status::not_authorized;
    case 3:
      return Status::network_failure;
    case 4:
      return Status::no_resources;
    case 5:
      return Status::unknown_opcode;
    default:
      return Status::other;
  }
}

}  // namespace

Bytes encode_address_request() { return {kVersion, kAddress}; }

Bytes encode(const MapRequest& request) {
  Bytes datagram;
  const bool ends = request.lifetime == 0;
  Writer(datagram)
      .byte(kVersion)
      .byte(request.protocol == Protocol::udp ? kMapUdp : kMapTcp)
      .u16(0)
      .u16(request.inside)
      .u16(ends ? std::uint16_t{0} : request.outside)
      .u32(request.lifetime);
  return datagram;
}

Result<Answer> decode(ByteView datagram) {
  Reader in(datagram);
  if (TRY(in.byte()) != kVersion) return fail(Errc::malformed, "NAT-PMP: another version");
  const std::uint8_t opcode = TRY(in.byte());
  Answer answer;
  answer.status = status_from(TRY(in.u16()));
  answer.epoch = TRY(in.u32());
  if ((opcode & kAnswer) == 0) return fail(Errc::malformed, "NAT-PMP: not an answer");
  if (answer.status == Status::wrong_version) return answer;
  switch (opcode & ~kAnswer) {
    case kAddress:
      answer.about = Answer::About::address;
      // With an error, some routers end here.
      if (answer.status == Status::success) answer.outside_address = IpAddress::v4(TRY(in.u32()));
      return answer;
    case kMapUdp:
    case kMapTcp:
      answer.about = Answer::About::mapping;
      answer.protocol = (opcode & ~kAnswer) == kMapUdp ? Protocol::udp : Protocol::tcp;
      answer.inside = TRY(in.u16());
      answer.outside = TRY(in.u16());
      answer.lifetime = TRY(in.u32());
      return answer;
    default:
      return fail(Errc::malformed, "NAT-PMP: an answer to what we did not ask");
  }
}

}  // namespace culvert::gateway::nat_pmp
