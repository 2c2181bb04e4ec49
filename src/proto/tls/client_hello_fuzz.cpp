// SPDX-License-Identifier: Apache-2.0
// The first message of a TLS client: how the bytes are cut into pieces must make no difference. Input: size
// of the pieces, and then what a client says.
#include "proto/tls/client_hello.hpp"

#include <algorithm>
#include <string>

#include "tests/support/fuzz_input.hpp"

using namespace culvert;
using test::require;
using tls::ClientHello;

namespace {

struct Outcome {
  ClientHello::State state = ClientHello::State::reading;
  std::optional<std::string> name;
  std::string why;
  std::optional<std::string> no_name;
  bool operator==(const Outcome&) const = default;
};

Outcome read(ByteView input, std::size_t piece) {
  ClientHello hello;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    // A copy of its own: reading past its end shows.
    hello.feed(copy_of(input.subspan(at, std::min(piece, input.size() - at))));
    require(at < ClientHello::kMost || hello.state() != ClientHello::State::reading, "it is bounded");
  }
  return {hello.state(), hello.server_name(), std::string(hello.why()), hello.no_server_name()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzInput input(data, size);
  const std::size_t piece = input.byte() + std::size_t{1};
  const ByteView bytes = input.rest();
  const Outcome whole = read(bytes, std::max<std::size_t>(bytes.size(), 1));
  require(read(bytes, piece) == whole, "pieces make no difference");
  require(!whole.name || tls::is_server_name(*whole.name), "a name is one of a host");
  require(!whole.no_name || !tls::is_server_name(*whole.no_name), "what is none is none");
  require(!whole.name || !whole.no_name, "it is one or the other");
  require(!whole.no_name || whole.state == ClientHello::State::done, "what failed has none of either");
  require(!whole.name || whole.state == ClientHello::State::done, "what failed has no name");
  const bool failed =
      whole.state == ClientHello::State::no_tls || whole.state == ClientHello::State::malformed;
  require(failed == !whole.why.empty(), "what failed says why");
  return 0;
}
