// SPDX-License-Identifier: Apache-2.0
// The header of a datagram between a SOCKS client and its association. Input: the datagram.
#include <algorithm>

#include "proto/socks/udp_header.hpp"
#include "tests/support/fuzz_input.hpp"

using namespace culvert;
using test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView datagram(data, size);
  const auto request = socks::read_udp_request(datagram);
  if (!request) {
    require(request.error().code == Errc::malformed || request.error().code == Errc::unsupported,
            "it is the client's fault");
    return 0;
  }
  require(datagram[2] == 0, "no fragment passes");
  require(request->data.size() < size && request->data.data() + request->data.size() == data + size,
          "the data is the rest");
  if (const auto* name = std::get_if<std::string_view>(&request->host))
    return require(socks::is_host(*name), "a name may go on"), 0;
  const auto* v4 = std::get_if<socks::Ipv4>(&request->host);
  const socks::UdpHeader header = v4 != nullptr
                                      ? socks::UdpHeader(*v4, request->port)
                                      : socks::UdpHeader(std::get<socks::Ipv6>(request->host), request->port);
  const ByteView before = datagram.first(size - request->data.size());
  require(std::ranges::equal(header.bytes().subspan(2), before.subspan(2)),
          "what is written is what was read");
  return 0;
}
