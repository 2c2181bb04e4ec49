// SPDX-License-Identifier: Apache-2.0
// PCP and NAT-PMP: whatever a router says and however time goes on, questions stay within the paces of the
// protocol, and what is kept within a bound. Input: the dialect, and then operations.
#include "proto/gateway/client.hpp"
#include "proto/gateway/nat_pmp.hpp"
#include "proto/gateway/pcp.hpp"
#include "tests/support/fuzz_input.hpp"
#include "tests/support/seeded_random.hpp"

using namespace culvert;
using namespace culvert::gateway;
using test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzInput input(data, size);
  test::SeededRandom random(1);
  const Dialect dialect = (input.byte() & 1) != 0 ? Dialect::pcp : Dialect::nat_pmp;
  Client client({.dialect = dialect, .here = IpAddress::v4(0xC0A80114), .lifetime = 7200}, random);
  Instant now{std::chrono::hours(1)};
  const Instant begin = now;
  std::size_t added = 0, removed = 0, calls = 0, sent = 0;
  while (!input.empty() && calls < 500) {
    ++calls;
    switch (input.byte() % 6) {
      case 0:
        if (added == 20) break;
        client.add((input.byte() & 1) != 0 ? Protocol::tcp : Protocol::udp, input.u16(), input.u16(), Nonce{},
                   now);
        ++added;
        break;
      case 1:
        if (removed < added) client.remove(removed++, now);
        break;
      case 2:
        client.receive(copy_of(input.bytes(input.byte())), now);
        break;
      case 3:
        client.announced(copy_of(input.bytes(input.byte())), now);
        break;
      case 4:
        now += std::chrono::seconds(input.u16());
        break;
      default:
        if (const Instant next = client.next_deadline(); next != kNever && next > now) now = next;
        break;
    }
    client.advance(now);
    require(client.next_deadline() > now, "advance() does all that is due");
    std::size_t at_once = 0;
    while (const auto datagram = client.next_output()) {
      require(datagram->size() <= pcp::kMost, "datagrams are bounded");
      ++at_once;
    }
    require(at_once <= added + 1, "no question is asked twice at once");
    sent += at_once;
    std::size_t told = 0;
    while (client.next_event()) ++told;
    require(told <= 3 * added + 2, "events are bounded");
  }
  const auto seconds = static_cast<std::size_t>((now - begin) / std::chrono::seconds(1));
  require(sent <= (added + 1) * (calls + seconds + 1), "a router cannot make us send without end");
  return 0;
}
