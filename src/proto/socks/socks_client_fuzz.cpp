// SPDX-License-Identifier: Apache-2.0
// The client's side of SOCKS 5 and HTTP CONNECT: how the bytes are cut into pieces must make no difference.
// Input: size of the pieces, protocol and login, and then what a proxy says.
#include "proto/socks/client.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "tests/support/fuzz_input.hpp"

using namespace culvert;
using socks::Client;
using test::require;

namespace {

struct Outcome {
  Client::State state = Client::State::talking;
  std::size_t taken = 0;
  Bytes sent;
  std::string error;
  bool operator==(const Outcome&) const = default;
};

Outcome talk(ByteView input, std::size_t piece, unsigned how) {
  std::optional<socks::Login> login;
  if (how % 2 == 1) login.emplace("ann", SecretBytes(std::string_view("secret")));
  Client client(how / 2 % 2 == 0 ? socks::Protocol::socks5 : socks::Protocol::http, {"db.internal", 5432},
                std::move(login));
  Outcome outcome;
  const auto drain = [&] {
    const ByteView output = client.output();
    outcome.sent.insert(outcome.sent.end(), output.begin(), output.end());
    client.consume_output(output.size());
  };
  drain();
  while (outcome.taken < input.size() && client.state() == Client::State::talking) {
    const Bytes part = copy_of(input.subspan(outcome.taken, std::min(piece, input.size() - outcome.taken)));
    const auto taken = client.feed(part);
    require(taken <= part.size(), "no more is taken than came");
    require(taken == part.size() || client.state() != Client::State::talking,
            "bytes are left only when it is over");
    outcome.taken += taken;
    drain();
  }
  client.on_end();
  require(client.state() != Client::State::talking, "the end is the end");
  require((client.state() == Client::State::failed) == !client.error().empty(), "what failed says why");
  outcome.state = client.state();
  outcome.error = client.error();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzInput input(data, size);
  const std::size_t piece = input.byte() + std::size_t{1};
  const unsigned how = input.byte();
  const ByteView text = input.rest();
  const Outcome whole = talk(text, text.size(), how);
  require(talk(text, piece, how) == whole, "pieces make no difference");
  require(whole.sent.size() <= 600, "requests are short");
  require(std::ranges::all_of(whole.error, [](char c) { return static_cast<unsigned char>(c) >= 0x20; }),
          "errors are fit for a terminal");
  return 0;
}
