// SPDX-License-Identifier: Apache-2.0
// UPnP: what a router, or somebody who says that he is one, answers. Input: the kind, and then a datagram or
// a document.
#include "proto/gateway/igd.hpp"
#include "proto/gateway/ssdp.hpp"
#include "tests/support/fuzz_input.hpp"

using namespace culvert;
using namespace culvert::gateway;
using test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzInput input(data, size);
  const std::uint8_t kind = input.byte();
  const Bytes bytes = copy_of(input.rest());
  const HttpUrl from{IpAddress::v4(0xC0A80101), 5000, "/root/desc.xml"};
  switch (kind % 4) {
    case 0:
      if (const auto url = ssdp::read_answer(bytes))
        require(HttpUrl::parse("http://" + url->authority() + url->path) == url, "URLs read the same again");
      break;
    case 1:
      if (const auto device = igd::read_description(as_text(bytes), from)) {
        for (const auto& service : {device->connection, device->other_connection, device->firewall}) {
          if (!service) continue;
          require(service->control.host == from.host, "services are at the router");
          require(service->type.find_first_of("\"\r\n<") == std::string::npos, "types fit into a header");
          require(service->control.path.find_first_of(" \r\n") == std::string::npos,
                  "paths fit into a request");
        }
      }
      break;
    case 2:
      if (const auto reply = igd::read_reply(as_text(bytes), (kind & 4) != 0)) {
        require(reply->error >= 0, "errors have numbers");
        require(!igd::describe(reply->error).empty(), "and words");
      }
      break;
    default:
      if (const auto url = from.resolve(as_text(bytes))) require(url->host == from.host, "the host stays");
      break;
  }
  return 0;
}
