// SPDX-License-Identifier: Apache-2.0
// The server's side of SOCKS and HTTP CONNECT: how the bytes are cut into pieces must make no difference.
// Input: size of the pieces, whether a login is wanted, what becomes of the request, and then what a client
// says.
#include "proto/socks/server.hpp"

#include <algorithm>

#include "tests/support/fuzz_input.hpp"

using namespace culvert;
using socks::Server;
using test::require;

namespace {

struct Outcome {
  Server::State state = Server::State::reading;
  std::size_t taken = 0;
  Bytes sent;
  socks::Address where;
  bool operator==(const Outcome&) const = default;
};

void act(Server& server, unsigned what) {
  if (what % 2 == 0) return server.refuse(static_cast<socks::Failure>(what / 2 % 8));
  if (server.request().command == socks::Command::connect) return server.connected({"192.0.2.1", 1});
  if (server.request().command == socks::Command::associate) return server.associated({"192.0.2.1", 1});
  server.listening({"192.0.2.1", 1});
  require(server.state() == Server::State::listening, "BIND has two replies");
  what % 4 == 1 ? server.arrived(server.request().where) : server.refuse(socks::Failure::timed_out);
}

Outcome talk(ByteView input, std::size_t piece, const socks::Accounts* accounts, unsigned what) {
  Server server(accounts);
  Outcome outcome;
  const auto drain = [&] {
    const ByteView output = server.output();
    outcome.sent.insert(outcome.sent.end(), output.begin(), output.end());
    server.consume_output(output.size());
  };
  while (outcome.taken < input.size() && server.state() == Server::State::reading) {
    // A copy of its own: reading past its end shows.
    const Bytes part = copy_of(input.subspan(outcome.taken, std::min(piece, input.size() - outcome.taken)));
    const auto taken = server.feed(part);
    require(taken <= part.size(), "no more is taken than came");
    require(taken == part.size() || server.state() != Server::State::reading,
            "bytes are left only when it is over");
    outcome.taken += taken;
    drain();
  }
  if (server.state() == Server::State::requested) {
    outcome.where = server.request().where;
    require(socks::is_host(outcome.where.host), "the host may go on");
    act(server, what);
    drain();
  }
  if (server.state() != Server::State::reading) require(server.feed(input) == 0, "what follows is not ours");
  outcome.state = server.state();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto accounts = socks::Accounts::parse("ann:secret\nbob:x").value();
  test::FuzzInput input(data, size);
  const std::size_t piece = input.byte() + std::size_t{1};
  const auto* who = input.byte() % 2 == 0 ? nullptr : &accounts;
  const unsigned what = input.byte();
  const ByteView text = input.rest();
  const Outcome whole = talk(text, text.size(), who, what);
  require(talk(text, piece, who, what) == whole, "pieces make no difference");
  require(whole.sent.size() <= 300, "answers are short");
  const bool is_over = whole.state == Server::State::served || whole.state == Server::State::refused;
  require(is_over || whole.taken == text.size(), "all is taken until it is over");
  if (const auto v6 = socks::parse_ipv6(whole.where.host))
    require(socks::parse_ipv6(socks::ip_text(*v6)) == v6, "an address and its text are the same");
  return 0;
}
