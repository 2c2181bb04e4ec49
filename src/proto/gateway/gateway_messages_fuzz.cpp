// SPDX-License-Identifier: Apache-2.0
// PCP and NAT-PMP: datagrams of a router. Input: one.
#include "proto/gateway/nat_pmp.hpp"
#include "proto/gateway/pcp.hpp"
#include "tests/support/fuzz_input.hpp"

using namespace culvert;
using namespace culvert::gateway;
using test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes datagram(data, data + size);
  for (const auto& answer : {pcp::decode(datagram), nat_pmp::decode(datagram)}) {
    if (!answer) continue;
    require(!describe(answer->status).empty(), "every answer has its words");
    require(answer->about != Answer::About::address || answer->status != Status::success ||
                answer->outside_address.has_value(),
            "an address is there");
  }
  return 0;
}
